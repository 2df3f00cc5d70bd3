// SPDX-License-Identifier: Apache-2.0
// Reads the simulator's test pattern back from decoded pixels (its layout: sim/pattern.h).

const COUNTER_BITS = 32;
const PATCHES = {
  red: [255, 0, 0],
  green: [0, 255, 0],
  blue: [0, 0, 255],
  yellow: [255, 255, 0],
  cyan: [0, 255, 255],
  magenta: [255, 0, 255],
};

function pixel({ width, data }, x, y) {
  const at = 4 * (Math.floor(y) * width + Math.floor(x));
  return [data[at], data[at + 1], data[at + 2]];
}

/** The low 32 bits of the frame's number; throws where a block is neither black nor white. */
export function frameCounter(picture) {
  const block = Math.floor(picture.width / COUNTER_BITS);
  let value = 0;
  for (let i = 0; i < COUNTER_BITS; i++) {
    const [r, g, b] = pixel(picture, (i + 0.5) * block, 0.5 * block);
    const grey = (r + g + b) / 3;
    if (grey > 64 && grey < 192) throw new Error(`counter block ${i} is grey: ${r}, ${g}, ${b}`);
    value = value * 2 + (grey >= 192 ? 1 : 0);
  }
  return value;
}

/** The largest difference of a channel in the middle of the six patches, and where it is. */
export function worstPatch(picture) {
  let worst = { name: '', difference: 0 };
  Object.entries(PATCHES).forEach(([name, wanted], i) => {
    const seen = pixel(picture, ((i + 0.5) * picture.width) / 6, picture.height * 0.375);
    const difference = Math.max(...seen.map((value, channel) => Math.abs(value - wanted[channel])));
    if (difference > worst.difference) worst = { name, difference, seen };
  });
  return worst;
}
