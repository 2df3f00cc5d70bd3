// SPDX-License-Identifier: Apache-2.0
// A yardstick: JPEG pictures that ffmpeg writes to our stdin go to every WebSocket client, as one
// does it with npm's ws. Argument: the port. Ends with its stdin.
import { WebSocketServer } from "ws";

const END = Buffer.from([0xff, 0xd9]); // a JPEG's last two bytes; nowhere else in ffmpeg's
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  perMessageDeflate: false,
});
let parts = []; // of the picture under way

function send(picture) {
  for (const client of server.clients) client.send(picture, { binary: true });
}

process.stdin.on("data", (bytes) => {
  // The two bytes may have been torn apart.
  if (parts.length > 0 && bytes[0] === END[1] && parts.at(-1).at(-1) === END[0]) {
    send(Buffer.concat([...parts, bytes.subarray(0, 1)]));
    parts = [];
    bytes = bytes.subarray(1);
  }
  for (let end = bytes.indexOf(END); end >= 0; end = bytes.indexOf(END)) {
    send(Buffer.concat([...parts, bytes.subarray(0, end + 2)]));
    parts = [];
    bytes = bytes.subarray(end + 2);
  }
  if (bytes.length > 0) parts.push(bytes);
});
process.stdin.on("end", () => process.exit(0));
