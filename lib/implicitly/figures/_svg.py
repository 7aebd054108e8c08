"""Lines and dots of a miniature as SVG, in classes that the page's style sheet colours; no axes, no text."""

__all__ = ["Frame", "svg"]

SIZE = 224  # width in px


def svg(*parts: str, height: int = SIZE) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {height}">{"".join(parts)}</svg>\n'


class Frame:
    """Data coordinates to the miniature's: a box `(x0, x1, y0, y1)` drawn in full width."""

    def __init__(self, x0, x1, y0, y1, height=SIZE):
        self.at = lambda x, y: ((x - x0) / (x1 - x0) * SIZE, (y1 - y) / (y1 - y0) * height)

    def lines(self, kind: str, curves) -> str:
        """One path of class `kind` (prefer, without): `curves` are pairs (x, y) of equally long sequences."""
        paths = []
        for x, y in curves:
            places = dict.fromkeys("{:.0f} {:.0f}".format(*self.at(*p)) for p in zip(x, y, strict=True))
            paths.append("M" + "L".join(places))
        return f'<path class="im-v-{kind}" d="{"".join(paths)}"/>'

    def dots(self, kind: str, points, radius: float) -> str:
        """Circles of class `kind` (disc, ring) at `points` (x, y), of `radius` in px."""
        places = ["{:.0f} {:.0f}".format(*self.at(*p)).split() for p in points]
        return "".join(f'<circle class="im-v-{kind}" cx="{x}" cy="{y}" r="{radius}"/>' for x, y in places)
