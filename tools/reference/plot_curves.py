"""Draws loss curves of metrics.jsonl files into one SVG, by hand, with nothing but Python.

    python3 plot_curves.py holdfast=metrics.jsonl PyTorch=curve.jsonl --title "Shakespeare on a CPU" --out curves.svg

Each curve shows the training loss (thin, a running mean) and the validation loss (thick, a mark an evaluation). The last
validation losses are printed, and how far each lies from the first.
"""

import argparse
import json
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 860, 480
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 56, 60
# Told apart by people with any colour vision (Okabe and Ito), and by dashes where the curves cover each other.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
DASHES = ("", "7 5", "2 4", "10 4 2 4")


def read_curve(path):
    """([(step, loss)], [(step, val_loss)]), finite values only; of a repeated step the last line counts."""
    train, val = {}, {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            for points, key in ((train, "loss"), (val, "val_loss")):
                value = record.get(key)
                if isinstance(value, (int, float)) and math.isfinite(value):
                    points[record["step"]] = value
    return sorted(train.items()), sorted(val.items())


def running_mean(points, span):
    """The mean of up to `span` points that end at each."""
    values = [value for _, value in points]
    return [(step, sum(values[max(0, i - span + 1):i + 1]) / min(span, i + 1)) for i, (step, _) in enumerate(points)]


def ticks(low, high, count):
    """Round numbers 1, 2 or 5 times a power of ten apart that cover low to high."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    distance = next(d * power for d in (1, 2, 5, 10) if d * power >= rough)
    first, last = math.floor(low / distance + 1e-9), math.ceil(high / distance - 1e-9)
    return [i * distance for i in range(first, last + 1)]


class Canvas:
    """Maps (step, loss) to the page and collects SVG elements."""

    def __init__(self, x_ticks, y_ticks):
        self.x_ticks, self.y_ticks = x_ticks, y_ticks
        self.elements = []

    def x(self, step):
        share = (step - self.x_ticks[0]) / (self.x_ticks[-1] - self.x_ticks[0])
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, loss):
        share = (loss - self.y_ticks[0]) / (self.y_ticks[-1] - self.y_ticks[0])
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def line(self, x1, y1, x2, y2, style):
        self.elements.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>')

    def text(self, x, y, text, style=""):
        self.elements.append(f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>')

    def polyline(self, points, style):
        joined = " ".join(f"{self.x(step):.1f},{self.y(loss):.1f}" for step, loss in points)
        self.elements.append(f'<polyline points="{joined}" fill="none" stroke-linejoin="round" {style}/>')

    def axes(self, title):
        for step in self.x_ticks:
            self.line(self.x(step), TOP, self.x(step), HEIGHT - BOTTOM, 'stroke="#eeeeee"')
            self.text(self.x(step), HEIGHT - BOTTOM + 20, f"{step:,.10g}", 'text-anchor="middle"')
        for loss in self.y_ticks:
            self.line(LEFT, self.y(loss), WIDTH - RIGHT, self.y(loss), 'stroke="#dddddd"')
            self.text(LEFT - 10, self.y(loss) + 5, f"{loss:.10g}", 'text-anchor="end"')
        self.line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, 'stroke="#333333"')
        self.line(LEFT, TOP, LEFT, HEIGHT - BOTTOM, 'stroke="#333333"')
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, "step", 'text-anchor="middle"')
        middle = (TOP + HEIGHT - BOTTOM) / 2
        self.text(20, middle, "loss (nats a token)", f'text-anchor="middle" transform="rotate(-90 20 {middle:.1f})"')
        self.text(LEFT, 32, title, 'font-size="18" font-weight="bold"')

    def curve(self, number, train, val):
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        stroke = f'stroke="{colour}" stroke-dasharray="{dash}"' if dash else f'stroke="{colour}"'
        self.polyline(train, f'{stroke} stroke-width="1" opacity="0.6"')
        self.polyline(val, f'{stroke} stroke-width="2.5"')
        for step, loss in val:
            self.elements.append(f'<circle cx="{self.x(step):.1f}" cy="{self.y(loss):.1f}" r="{max(1.5, 4.5 - 1.5 * number):.1f}" '
                                 f'fill="{"white" if number == 0 else colour}" stroke="{colour}" stroke-width="1.5"/>')

    def legend(self, names):
        """Top right, where a falling curve leaves room."""
        rows = [(name, number, width, label) for number, name in enumerate(names)
                for width, label in ((2.5, "validation"), (1, "training, running mean"))]
        width_box = 72 + 7.2 * max(len(f"{name}: {label}") for name, _, _, label in rows)
        left, top = WIDTH - RIGHT - 10 - width_box, TOP + 10
        self.elements.append(f'<rect x="{left:.1f}" y="{top}" width="{width_box:.1f}" height="{len(rows) * 21 + 10}" '
                             'fill="white" fill-opacity="0.9" stroke="#cccccc"/>')
        for row, (name, number, width, label) in enumerate(rows):
            y = top + 18 + row * 21
            self.line(left + 10, y, left + 50, y, f'stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="{width}" '
                      f'stroke-dasharray="{DASHES[number % len(DASHES)]}"')
            self.text(left + 60, y + 5, f"{name}: {label}")

    def svg(self):
        body = "\n".join(self.elements)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
                f'height="{HEIGHT}" font-family="sans-serif" font-size="13" fill="#222222">\n'
                f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n')


def draw(title, names, curves, span):
    smooth = [(running_mean(train, span), val) for train, val in curves]
    points = [point for train, val in smooth for point in train + val]
    if len(points) < 2:
        raise SystemExit("there is nothing to draw: no two points with a loss")
    losses = [loss for _, loss in points]
    canvas = Canvas(ticks(0, max(step for step, _ in points), 8),
                    ticks(min(losses), max(max(losses), min(losses) + 1e-3), 7))
    canvas.axes(title)
    for number, (train, val) in enumerate(smooth):
        canvas.curve(number, train, val)
    canvas.legend(names)
    return canvas.svg()


def print_summary(names, curves):
    last = [val[-1] if val else None for _, val in curves]
    for name, point in zip(names, last):
        if point is None:
            print(f"{name}: no validation loss")
            continue
        difference = ""
        if last[0] and point is not last[0]:
            difference = f", {100 * (point[1] / last[0][1] - 1):+.2f} % against {names[0]}"
        print(f"{name}: validation loss {point[1]:.4f} at step {point[0]}{difference}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("curves", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--title", default="Loss")
    parser.add_argument("--out", default="curves.svg")
    parser.add_argument("--mean-of", type=int, default=20, help="steps in the running mean of the training loss")
    arguments = parser.parse_args()
    names, paths = zip(*(curve.split("=", 1) for curve in arguments.curves))
    curves = [read_curve(path) for path in paths]
    print_summary(names, curves)
    with open(arguments.out, "w", encoding="utf-8") as file:
        file.write(draw(arguments.title, names, curves, arguments.mean_of))


if __name__ == "__main__":
    main()
