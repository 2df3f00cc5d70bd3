# SPDX-License-Identifier: Apache-2.0
"""Builds the package simcast and its two extension modules.

    pip wheel --no-deps --no-build-isolation python/

The extensions contain the C sources of base/, proto/, shm/ and safety/ that they need, so that a
wheel needs no other part of simcast; and they keep to Python's stable ABI of 3.11, so that one wheel
serves that version and all later ones. Where jansson's headers are missing, the package is built
without simcast.Safety.
"""
import pathlib
import re

from setuptools import Extension, setup

ROOT = pathlib.Path(__file__).resolve().parent.parent
STABLE_ABI = "0x030B0000"

SOURCES = [
    *(ROOT / "base" / name for name in ("clock.c", "log.c", "log_line.c")),
    *(ROOT / "proto" / name for name in ("pixel.c", "settings.c", "video.c")),
    *sorted(path for path in (ROOT / "shm").glob("*.c") if not path.name.startswith("legacy_")),
    *sorted(path for path in (ROOT / "python").glob("*.c") if path.name != "safety.c"),
]

SAFETY_SOURCES = [
    ROOT / "base" / "clock.c",
    *(ROOT / "proto" / name for name in ("command.c", "settings.c", "video.c")),
    *sorted((ROOT / "safety").glob("*.c")),
    ROOT / "python" / "safety.c",
]

HEADERS = [str(path) for folder in ("base", "proto", "python", "safety", "shm")
           for path in (ROOT / folder).glob("*.h")]

VERSION = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text("utf-8")).group(1)



def extension(name, sources, libraries, optional):
    return Extension(
        name,
        sources=[str(path) for path in sources],
        depends=HEADERS,
        include_dirs=[str(ROOT)],
        libraries=libraries,
        define_macros=[("Py_LIMITED_API", STABLE_ABI), ("_GNU_SOURCE", None)],
        extra_compile_args=["-std=c11", "-O2", "-Wall", "-Wextra", "-Wshadow",
                            "-Wstrict-prototypes", "-Wpointer-arith", "-Wvla",
                            "-Wno-missing-field-initializers", "-Wno-cast-function-type",
                            "-fvisibility=hidden", "-fstack-protector-strong",
                            f"-ffile-prefix-map={ROOT}/="],
        py_limited_api=True,
        optional=optional)


ring = extension("simcast._ring", SOURCES, ["z"], optional=False)
safety = extension("simcast._safety", SAFETY_SOURCES, ["jansson", "z"], optional=True)

setup(
    name="simcast",
    version=VERSION,
    description="Zero-copy frames out of a robot simulator, and into Python",
    license="Apache-2.0",
    packages=["simcast"],
    package_data={"simcast": ["py.typed", "*.pyi"]},
    ext_modules=[ring, safety],
    python_requires=">=3.11",
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
    zip_safe=False)
