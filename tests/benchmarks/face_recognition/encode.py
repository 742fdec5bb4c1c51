"""Runs in the library's own environment: reads paths from standard input, a line each, and prints JSON.

`encode`: a list of 128 numbers for each picture, of the face whose box's middle is nearest to the picture's; null where
the library finds no face. `throughput SECONDS PROCESSES`: pictures per second of so many processes, for that long.
Everything is the library's default: the HOG detector, one upsampling, one jitter, the small landmark model.
"""

import json
import os
import sys
import time
from itertools import cycle
from multiprocessing import Pool

import face_recognition


def main() -> None:
    """Runs the command."""
    paths = sys.stdin.read().splitlines()
    if sys.argv[1] == "encode":
        with Pool(len(os.sched_getaffinity(0))) as pool:
            json.dump(pool.map(encode, paths), sys.stdout)
        return
    json.dump(throughput(paths, float(sys.argv[2]), int(sys.argv[3])), sys.stdout)


def encode(path: str) -> list[float] | None:
    """The encoding of the face in the middle of a picture; None when there is none."""
    picture = face_recognition.load_image_file(path)
    boxes = face_recognition.face_locations(picture)
    if not boxes:
        return None
    height, width = picture.shape[:2]

    def from_middle(box: tuple[int, int, int, int]) -> float:
        top, right, bottom, left = box
        return abs(left + right - width) + abs(top + bottom - height)

    return list(face_recognition.face_encodings(picture, [min(boxes, key=from_middle)])[0])


def throughput(paths: list[str], seconds: float, processes: int) -> float:
    """Pictures per second of all processes together, each warmed up with one picture."""
    with Pool(processes, initializer=encode, initargs=(paths[0],)) as pool:
        return sum(pool.starmap(_rate, [(paths, seconds)] * processes, chunksize=1))


def _rate(paths: list[str], seconds: float) -> float:
    started, done = time.monotonic(), 0
    for path in cycle(paths):
        encode(path)
        done += 1
        if time.monotonic() - started >= seconds:
            break
    return done / (time.monotonic() - started)


if __name__ == "__main__":
    main()
