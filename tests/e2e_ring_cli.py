#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`simcast ring` and `simcast source` from the outside: e2e_ring_cli.py BUILD_DIR [PART OF A NAME].

Each case has a directory and processes of its own; simcastd listens on a port that is free.
"""
import contextlib
import json
import os
import pathlib
import pty
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib

import ws
from case_kit import cases_in, command_line, run_part
from daemon_kit import Daemon, wait_until
from program_kit import Yard, clean_environment

COLUMNS_MAX = 100
PATCHES = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255), (255, 0, 255)]

BUILD = pathlib.Path()


class Stage(Yard):
    """A yard whose programs find it in their environment, and what `simcast` says of it."""

    def environment(self):
        return clean_environment(SIMCAST_IPC_DIR=str(self.directory))

    def start(self, program, *arguments, **options):
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
        return self.launch([BUILD / program, *arguments], env=self.environment(), **options)

    def start_sim(self, *arguments):
        sim = self.start("sim/simcast-sim", "--pattern", *arguments)
        self.await_socket("front.frames")
        return sim

    def start_encoder(self, *arguments):
        encoder = self.start("encoder/simcast-encoder", *arguments)
        self.await_socket("front.packets")
        return encoder

    def start_source(self, *arguments):
        source = self.start("cli/simcast", "source", "--ring", "front", *arguments)
        self.await_socket("front.frames")
        return source

    def await_socket(self, name):
        assert wait_until((self.directory / name).exists, 10), f"{name} did not appear"

    def cli(self, *arguments, seconds=20):
        """(exit code, stdout, stderr)"""
        done = subprocess.run([BUILD / "cli/simcast", *map(str, arguments)], text=True,
                              capture_output=True, check=False, timeout=seconds,
                              env=self.environment())
        return done.returncode, done.stdout, done.stderr

    def good(self, *arguments, **options):
        code, out, err = self.cli(*arguments, **options)
        assert code == 0, f"simcast {' '.join(map(str, arguments))}: exit code {code}: {err}"
        return out

    def bad(self, expected, *arguments, says=()):
        """Ends with that exit code and one line on stderr, which says all of this."""
        code, out, err = self.cli(*arguments)
        what = f"simcast {' '.join(map(str, arguments))}"
        assert (code, out) == (expected, ""), f"{what}: exit code {code}: {out}{err}"
        assert err.count("\n") == 1, f"{what}: {err}"
        for part in says:
            assert str(part) in err, f"{what}: no '{part}' in: {err}"

    def streams(self):
        out = self.good("ring", "list", "--json")
        assert out.count("\n") == 1, out
        answer = json.loads(out)
        assert answer["ipc_dir"] == str(self.directory), answer
        return {f"{row['stream']}.{row['kind']}": row for row in answer["streams"]}

    def leave_dead_socket(self, name):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
            left.bind(str(self.directory / name))


# ---- files ---------------------------------------------------------------------------------

def read_png(path):
    """(width, height, channels, rows of bytes); 8 bits per channel, not interlaced."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", data[:8]
    offset, coded = 8, b""
    while offset < len(data):
        (length,) = struct.unpack_from(">I", data, offset)
        kind, body = data[offset + 4:offset + 8], data[offset + 8:offset + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            assert (depth, interlaced) == (8, 0), body
        coded += body if kind == b"IDAT" else b""
        offset += 12 + length
    channels = {0: 1, 2: 3, 6: 4}[colour]
    return width, height, channels, unfilter(zlib.decompress(coded), width * channels, channels)


def unfilter(data, row_bytes, channels):
    """PNG specification, section 9."""
    rows = [bytearray(row_bytes)]
    for start in range(0, len(data), row_bytes + 1):
        kind, row, above = data[start], bytearray(data[start + 1:start + 1 + row_bytes]), rows[-1]
        for i, value in enumerate(row if kind else b""):
            left = row[i - channels] if i >= channels else 0
            corner = above[i - channels] if i >= channels else 0
            paeth = min((abs(above[i] - corner), 0, left), (abs(left - corner), 1, above[i]),
                        (abs(left + above[i] - 2 * corner), 2, corner))[2]
            row[i] = (value + (0, left, above[i], (left + above[i]) // 2, paeth)[kind]) & 255
        rows.append(row)
    return rows[1:]


def read_npy(path):
    """(shape, bytes)"""
    data = path.read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00", data[:8]
    (length,) = struct.unpack_from("<H", data, 8)
    header = data[10:10 + length].decode("ascii")
    assert (10 + length) % 64 == 0 and header.endswith("\n"), header
    match = re.fullmatch(r"\{'descr': '\|u1', 'fortran_order': False, "
                         r"'shape': \(([\d, ]+)\), \} *\n", header)
    assert match, header
    shape = tuple(int(number) for number in match[1].split(","))
    return shape, data[10 + length:]


def check_patches(width, height, pixel):
    """The six patches of the pattern; `pixel(x, y)` gives R, G, B. Returns the frame's number."""
    for i, colour in enumerate(PATCHES):
        x, y = (2 * i + 1) * width // 12, 3 * height // 8
        assert tuple(pixel(x, y)) == colour, f"patch {i} is {tuple(pixel(x, y))}"
    block = width // 32
    number = 0
    for bit in range(32):
        level = pixel(bit * block + block // 2, block // 2)[0]
        assert level in (0, 255), f"bit {bit} is {level}"
        number = number << 1 | level >> 7
    return number


# ---- ring list and watch -------------------------------------------------------------------

def case_list_tells_who_produces_what_for_whom():
    with Stage() as stage:
        sim = stage.start_sim("--size", "320x240", "--fps", "50")
        encoder = stage.start_encoder("--codec", "jpeg")
        with Daemon(BUILD / "daemon/simcastd", directory=stage.directory) as daemon, \
                daemon.connect():
            def flowing():
                rows = stage.streams()
                return rows if all(rows[name]["rate_hz"] > 40
                                   for name in ("front.frames", "front.packets")) else None
            rows = wait_until(flowing, 15)
            assert rows, f"no flow: {stage.streams()}"
            print(f"# frames {rows['front.frames']['rate_hz']:.2f}/s, asked for 50")
            frames, packets = rows["front.frames"], rows["front.packets"]
            assert frames["alive"], frames
            assert frames["path"] == str(stage.directory / "front.frames"), frames
            assert frames["producer"] == {"pid": sim.pid, "command": "simcast-sim"}, frames
            assert frames["rate_hz"] < 60, frames
            picture = frames["newest_frame"]
            assert (picture["format"], picture["width"], picture["height"],
                    picture["stride_bytes"]) == ("rgb24", 320, 240, 960), picture
            assert picture["payload_bytes"] == 320 * 240 * 3 and 0 <= picture["age_ms"] < 1000
            assert frames["memory_bytes"] > frames["slots"] * frames["payload_bytes_max"], frames
            (reader,) = frames["consumers"]
            assert (reader["pid"], reader["command"]) == (encoder.pid, "simcast-encoder"), reader
            assert reader["wants"] and reader["lag"] <= 2 and reader["revoked"] == 0, reader
            assert 0 <= reader["leases_pinned"] <= reader["leases"] == 1, reader
            assert 0 <= reader["spin_percent"] < 50, reader
            assert packets["newest_frame"]["format"] == "jpeg", packets
            assert packets["producer"]["pid"] == encoder.pid, packets
            assert [reader["pid"] for reader in packets["consumers"]] == [daemon.process.pid]


def case_the_table_fits_and_names_a_dead_socket():
    with Stage() as stage:
        sim = stage.start_sim()
        encoder = stage.start_encoder()
        stage.leave_dead_socket("left.frames")
        (stage.directory / "file.frames").write_text("no socket")
        table = stage.good("ring", "list")
        rows = stage.streams()
    lines = table.splitlines()
    assert max(len(line.replace(str(stage.directory), "")) for line in lines) <= COLUMNS_MAX, table
    assert re.search(rf"^front\.frames +simcast-sim {sim.pid} ", table, re.MULTILINE), table
    assert re.search(rf"^  simcast-encoder {encoder.pid} +no ", table, re.MULTILINE), table
    (dead,) = [line for line in lines if line.startswith("left.frames")]
    assert "dead" in dead and f"rm {stage.directory}/left.frames" in dead, dead
    assert not rows["left.frames"]["alive"] and "dead" in rows["left.frames"]["why"], rows
    assert "file.frames" not in rows and "file.frames" not in table, table


def case_looking_makes_nobody_draw():
    with Stage() as stage:
        stage.start_source("--fps", "100")
        for _ in range(2):
            frames = stage.streams()["front.frames"]
        stage.good("ring", "watch", "front", "--seconds", "1")
        assert stage.streams()["front.frames"]["newest"] == 0, "it drew while nobody wanted it"
        assert frames["newest_frame"] is None and frames["consumers"] == [], frames


def case_no_rings_is_said_in_one_sentence():
    with Stage() as stage:
        nowhere = stage.directory / "nowhere"
        for place in (stage.directory, nowhere):
            out = stage.good("ring", "list", "--ipc-dir", place)
            assert out.count("\n") == 1 and str(place) in out and "--ipc-dir" in out, out
        assert stage.streams() == {}
        file = stage.directory / "file"
        file.write_text("")
        stage.bad(1, "ring", "list", "--ipc-dir", file, says=[file])


def case_a_stopped_producer_is_told_from_a_dead_one():
    with Stage() as stage:
        source = stage.start_source()
        source.send_signal(signal.SIGSTOP)
        try:
            assert "does not answer" in stage.good("ring", "list")
            stage.bad(1, "ring", "snapshot", "front", stage.directory / "a.png", "--timeout", "1",
                      says=["does not answer"])
        finally:
            source.send_signal(signal.SIGCONT)
        assert stage.streams()["front.frames"]["alive"]


def case_watch_prints_a_line_per_second_and_ring():
    with Stage() as stage:
        stage.start_sim("--fps", "50")
        stage.start_encoder()
        lines = stage.good("ring", "watch", "front.frames", "--seconds", "3").splitlines()
        assert len(lines) == 3, lines
        for line in lines:
            assert re.fullmatch(r"front\.frames  \d+\.\d/s  newest \d+  consumers 1  wanting 0  "
                                r"lag \d+  lost \d+  spin \d+\.\d%", line), line
        out = stage.good("ring", "watch", "front", "--seconds", "1")
        kinds = [line.split()[0] for line in out.splitlines()]
        assert kinds[:2] == ["front.frames", "front.packets"] and "\033" not in out, out


def case_watch_waits_for_a_producer():
    with Stage() as stage:
        watch = stage.start("cli/simcast", "ring", "watch", "front.frames",
                            stdout=subprocess.PIPE, text=True)
        assert "no producer yet" in watch.stdout.readline()
        stage.start_source()
        assert wait_until(lambda: "consumers 0" in watch.stdout.readline(), 5)
        watch.send_signal(signal.SIGINT)
        assert watch.wait(5) == 0, watch.returncode


def case_watch_redraws_on_a_terminal():
    with Stage() as stage:
        stage.start_source()
        ours, theirs = pty.openpty()
        watch = stage.start("cli/simcast", "ring", "watch", "front", stdout=theirs)
        os.close(theirs)
        seen = b""
        deadline = time.monotonic() + 10
        while seen.count(b"\033[H\033[J") < 2 and time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                seen += os.read(ours, 65536)
        assert seen.count(b"\033[H\033[J") >= 2 and b"STREAM" in seen, seen
        watch.send_signal(signal.SIGTERM)
        assert wait_until(lambda: watch.poll() == 0, 5), watch.returncode
        os.close(ours)


# ---- ring snapshot -------------------------------------------------------------------------

def case_a_png_shows_the_pattern():
    with Stage() as stage:
        stage.start_sim("--size", "320x240")
        path = stage.directory / "picture.png"
        stage.good("ring", "snapshot", "front", path)
        width, height, channels, rows = read_png(path)
        assert (width, height, channels) == (320, 240, 3)
        check_patches(width, height, lambda x, y: rows[y][3 * x:3 * x + 3])
        assert not list(stage.directory.glob("*.partial"))


def case_an_npy_shows_the_newest_pattern():
    with Stage() as stage:
        stage.start_source("--size", "128x96", "--fps", "100")
        numbers = []
        for _ in range(2):
            path = stage.directory / "picture.npy"
            stage.good("ring", "snapshot", "front.frames", path)
            shape, data = read_npy(path)
            assert shape == (96, 128, 3) and len(data) == 96 * 128 * 3, shape
            numbers.append(check_patches(
                128, 96, lambda x, y, d=data: d[3 * (y * 128 + x):3 * (y * 128 + x) + 3]))
        assert numbers[1] > numbers[0], f"an old picture: {numbers}"
        assert wait_until(lambda: stage.streams()["front.frames"]["rate_hz"] == 0, 5), \
            "it goes on drawing after the snapshot"


def case_a_snapshot_waits_for_its_producer():
    with Stage() as stage:
        path = stage.directory / "picture.jpg"
        snapshot = stage.start("cli/simcast", "ring", "snapshot", "front", path)
        stage.start_source()
        assert snapshot.wait(5) == 0
        assert path.read_bytes()[:3] == b"\xff\xd8\xff"


def case_packets_are_written_as_they_are():
    with Stage() as stage:
        stage.start_sim("--size", "320x240")
        encoder = stage.start_encoder("--codec", "jpeg")
        path = stage.directory / "picture.jpg"
        stage.good("ring", "snapshot", "front.packets", path)
        data = path.read_bytes()
        assert data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9", data[:4]
        stage.bad(1, "ring", "snapshot", "front.packets", stage.directory / "a.h264",
                  says=["carries jpeg", ".jpg"])
        encoder.terminate()
        encoder.wait(5)
        stage.start_encoder("--codec", "h264")
        path = stage.directory / "picture.h264"
        stage.good("ring", "snapshot", "front.packets", path)
        data = path.read_bytes()
        kinds = [match[1][0] & 31 for match in re.finditer(rb"\x00\x00\x01(.)", data, re.DOTALL)]
        assert {7, 8, 5} <= set(kinds), f"no keyframe with its parameter sets: {kinds}"
        stage.bad(1, "ring", "snapshot", "front.packets", stage.directory / "a.jpg",
                  says=["carries h264", ".h264"])
        assert not (stage.directory / "a.jpg").exists()
        assert not (stage.directory / "a.h264").exists()


def case_a_ring_without_leases_left_says_so():
    with Stage() as stage:
        stage.start_encoder()  # without a simulator, so that everybody waits
        leases = stage.streams()["front.packets"]["leases_max"]
        for _ in range(leases):
            stage.start("cli/simcast", "ring", "snapshot", "front.packets",
                        stage.directory / "a.jpg", "--timeout", "60")
        assert wait_until(
            lambda: len(stage.streams()["front.packets"]["consumers"]) == leases, 10)
        rows = stage.streams()["front.packets"]["consumers"]
        assert all(row["wants"] and row["command"] == "simcast" for row in rows), rows
        stage.bad(1, "ring", "snapshot", "front.packets", stage.directory / "b.jpg",
                  "--timeout", "1", says=["lease"])


def case_what_cannot_be_taken_is_said():
    with Stage() as stage:
        path = stage.directory / "a.png"
        stage.bad(1, "ring", "snapshot", "front", path, "--timeout", "1",
                  says=["no producer", stage.directory / "front.frames"])
        stage.bad(78, "ring", "snapshot", "front", stage.directory / "a.gif",
                  says=["a.gif", ".png"])
        stage.bad(78, "ring", "snapshot", "front.state", path, says=["front.state"])
        stage.bad(78, "ring", "snapshot", "front.packets", path, says=[".jpg"])
        stage.bad(78, "ring", "snapshot", "../etc", path, says=["../etc"])
        stage.bad(78, "ring", "snapshot", "front", says=["--help"])
        stage.start_source()
        stage.bad(1, "ring", "snapshot", "front", stage.directory / "missing" / "a.png",
                  says=[stage.directory / "missing" / "a.png", "No such file"])


# ---- ring bench ----------------------------------------------------------------------------

def case_bench_becomes_the_program_beside_it():
    with Stage() as stage:
        simcast = stage.directory / "simcast"
        shutil.copy(BUILD / "cli/simcast", simcast)
        environment = {**stage.environment(), "PATH": ""}

        def run():
            return subprocess.run([simcast, "ring", "bench", "--json", "-n", "3"], text=True,
                                  capture_output=True, check=False, env=environment)

        done = run()
        assert done.returncode == 1 and "simcast-bench" in done.stderr, done
        assert done.stderr.count("\n") == 1, done
        fake = stage.directory / "simcast-bench"
        fake.write_text("#!/bin/sh\necho \"$@\"\nexit 5\n")
        fake.chmod(0o755)
        done = run()
        assert (done.returncode, done.stdout) == (5, "ring --json -n 3\n"), done


# ---- source --legacy -----------------------------------------------------------------------

@contextlib.contextmanager
def playing(*arguments):
    """simcastd, a legacy source that it reads, a viewer."""
    with Stage() as stage:
        with Daemon(BUILD / "daemon/simcastd", directory=stage.directory) as daemon:
            source = stage.start("cli/simcast", "source", "--legacy", daemon.slot_path, *arguments,
                                 stderr=subprocess.PIPE, text=True)
            with daemon.connect() as viewer:
                yield daemon, source, viewer


def case_a_legacy_source_reaches_the_viewer():
    with playing("--fps", "60", "--size", "128x96") as (_, source, viewer):
        videos = [viewer.receive(ws.Video, seconds=5) for _ in range(20)]
        source.send_signal(signal.SIGTERM)
        assert source.wait(5) == 0
    for before, after in zip(videos, videos[1:]):
        assert after.frame_seq > before.frame_seq
    for video in videos:
        assert video.codec == ws.JPEG and video.crc32 == zlib.crc32(video.payload)
        assert video.payload[:2] == b"\xff\xd8" and video.payload[-2:] == b"\xff\xd9"


def case_without_crc_the_field_is_0():
    with playing("--no-crc", "--size", "64x64") as (_, _, viewer):
        assert viewer.receive(ws.Video, seconds=5).crc32 == 0


def annexb(*units):
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in units)


def case_an_h264_file_is_played_picture_by_picture():
    idr = annexb(b"\x67\x42\x00\x1f", b"\x68\xce\x3c\x80", b"\x65\x88" + bytes([7] * 90),
                 b"\x65\x40" + bytes([8] * 20))  # the second slice of the same picture
    pictures = [idr] + [annexb(b"\x09\x30", b"\x41\x9a" + bytes([i] * 50)) for i in range(1, 5)]
    with tempfile.NamedTemporaryFile(suffix=".h264") as clip:
        clip.write(b"".join(pictures))
        clip.flush()
        with playing("--codec", "h264", "--input", clip.name, "--fps", "60") as (_, _, viewer):
            videos = [viewer.receive(ws.Video, seconds=5) for _ in range(15)]
    assert videos[0].flags & 1 and videos[0].payload == idr, videos[0]
    for before, after in zip(videos, videos[1:]):
        where = pictures.index(after.payload)
        assert bool(after.flags & 1) == (where == 0), after
        if after.frame_seq == before.frame_seq + 1:
            assert where == (pictures.index(before.payload) + 1) % 5, "a picture out of turn"
    assert {video.payload for video in videos} == set(pictures)


def case_a_garbling_writer_harms_nobody():
    seed = random.randrange(1 << 32)
    print(f"# seed {seed}")
    with playing("--garble", "--seed", str(seed), "--fps", "200", "--size", "64x64",
                 "--seconds", "6") as (daemon, source, viewer):
        assert f"--seed {seed}" in source.stderr.readline()
        received = 0
        while source.poll() is None:
            # ws checks type, size and CRC of each; the picture must begin and end as JPEG does.
            with contextlib.suppress(TimeoutError):
                video = viewer.receive(ws.Video, seconds=1)
                assert video.payload[:2] == b"\xff\xd8" and video.payload[-2:] == b"\xff\xd9"
                received += 1
        assert source.wait(5) == 0
        summary = source.stderr.read()
        written, spoiled = map(int, re.search(r"(\d+) pictures written, (\d+) of them",
                                              summary).groups())
        whole = written - spoiled
        assert daemon.process.poll() is None, f"simcastd died:\n{daemon.log}"
        health = daemon.health()
        print(f"# {written} written, {spoiled} spoiled, {received} received")
        assert spoiled > written / 8, "hardly anything was garbled"
        # It polls, so it may miss whole ones; a frame of which only the copy in the file was
        # spoiled afterwards may still have been read in time.
        assert whole / 2 < health["frames_broadcast"] <= written, health
        assert received >= health["frames_broadcast"] / 2, health
        before = health["frames_broadcast"]
        subprocess.run([BUILD / "cli/simcast", "source", "--legacy", daemon.slot_path, "--seconds",
                        "1"], check=True, stderr=subprocess.DEVNULL)
        assert daemon.health()["frames_broadcast"] > before + 10, "it takes no frames any more"


def case_wrong_options_exit_78():
    with Stage() as stage:
        file = stage.directory / "frames"
        for arguments in (["source"], ["source", "--legacy", file, "--ring", "front"],
                          ["source", "--legacy", file, "--codec", "hevc"],
                          ["source", "--legacy", file, "--codec", "h264"],
                          ["source", "--legacy", file, "--size", "63x64"],
                          ["source", "--ring", "front", "--garble"],
                          ["source", "--legacy", file, "--fps", "0"], ["source", "--legacy"],
                          ["ring", "bogus"], ["ring", "list", "--bogus"], ["ring", "list", "left"],
                          ["ring", "watch"], ["ring", "watch", "front.bogus"],
                          ["ring", "watch", "front", "--seconds", "0"],
                          ["ring", "snapshot", "front", "a.png", "--timeout", "x"]):
            stage.bad(78, *arguments)
        assert not file.exists()
        for arguments in (["ring"], ["ring", "--help"], ["ring", "list", "--help"],
                          ["ring", "watch", "--help"], ["ring", "snapshot", "--help"],
                          ["source", "--help"]):
            assert stage.good(*arguments).startswith("Usage: simcast"), arguments


def case_a_stranger_in_the_place_of_the_slot_is_left_alone():
    with Stage() as stage:
        os.mkfifo(stage.directory / "frames")
        stage.bad(1, "source", "--legacy", stage.directory / "frames", "--seconds", "1",
                  says=[stage.directory / "frames", "regular file"])
        assert (stage.directory / "frames").is_fifo()


def main():
    global BUILD
    BUILD, part = command_line()
    return run_part(cases_in(globals()), part)


if __name__ == "__main__":
    sys.exit(main())
