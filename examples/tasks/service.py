"""Draw the Mandelbrot set: a picture takes seconds to minutes, so callers submit it and fetch it later."""

from __future__ import annotations

import PIL.Image

import bentoml

LEFT, RIGHT, TOP = -2.2, 0.8, 1.2
SHADES = 255


@bentoml.service(workers=2, tasks={"ttl": 3600})
class Fractal:
    """Draw the Mandelbrot set, in the background."""

    @bentoml.task
    def draw(
        self,
        width: int = bentoml.Field(300, ge=16, le=4000, description="of the picture, in pixels"),
        depth: int = bentoml.Field(
            40, ge=1, le=1000, description="steps after which a point counts as inside"
        ),
    ) -> PIL.Image.Image:
        """Draw a picture; four fifths as high as it is wide."""
        height = width * 4 // 5
        step = (RIGHT - LEFT) / width
        points = (complex(LEFT + x * step, TOP - y * step) for y in range(height) for x in range(width))
        return PIL.Image.frombytes("L", (width, height), bytes(shade(point, depth) for point in points))


def shade(point: complex, depth: int) -> int:
    """Return how light a point is: black inside of the set, lighter the sooner it leaves."""
    z = 0j
    for step in range(depth):
        z = z * z + point
        if abs(z) > 2:
            return SHADES - SHADES * step // depth
    return 0
