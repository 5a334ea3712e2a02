#!/usr/bin/env python3
"""Draws captured terminals as one SVG, one below the other.

    tmux capture-pane -e -p -t alice > alice.txt
    python3 docs/terminals.py alice=alice.txt:6,14 bob=bob.txt:18,16 > docs/chat.svg

Each argument is TITLE=FILE:COLUMN,ROW with the place of the cursor. Knows as much of ANSI as Peerchat writes.
"""
import html
import re
import sys
import unicodedata

COLUMNS, CELL_W, CELL_H, FONT, PAD, BAR, GAP = 76, 8.4, 19, 14, 14, 30, 16
BACK, FORE, DIM, FRAME = "#1b1e26", "#d8dee9", "#8a93a5", "#2b303b"


def colour(number):
    """The colour of a number above 15 of the 256."""
    if number >= 232:
        return "#" + f"{8 + (number - 232) * 10:02x}" * 3
    levels = [0, 95, 135, 175, 215, 255]
    number -= 16
    return "#" + "".join(f"{levels[n]:02x}" for n in (number // 36, number // 6 % 6, number % 6))


def style(state, codes):
    """What a sequence of numbers makes of a style."""
    codes = [int(code or 0) for code in codes.split(";")]
    while codes:
        code = codes.pop(0)
        if code == 0:
            state = {}
        elif code in (1, 2, 7):
            state = {**state, {1: "bold", 2: "dim", 7: "reverse"}[code]: True}
        elif code in (22, 27):
            off = ("bold", "dim") if code == 22 else ("reverse",)
            state = {key: value for key, value in state.items() if key not in off}
        elif code == 38 and codes[:1] == [5]:
            state = {**state, "colour": colour(codes[1])}
            codes = codes[2:]
        elif code == 39:
            state = {key: value for key, value in state.items() if key != "colour"}
    return state


def width(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def window(title, lines, cursor, top):
    """One terminal, and where the next one may begin."""
    columns = COLUMNS * CELL_W + 2 * PAD
    height = BAR + len(lines) * CELL_H + 2 * PAD - 4
    out = [f'<rect y="{top}" width="{columns:g}" height="{height}" rx="8" fill="{BACK}"/>',
           f'<path d="M0 {top + BAR}v-{BAR - 8}a8 8 0 0 1 8-8h{columns - 16:g}a8 8 0 0 1 8 8v{BAR - 8}z" fill="{FRAME}"/>']
    out += [f'<circle cx="{18 + 18 * n}" cy="{top + BAR / 2:g}" r="5" fill="{fill}"/>'
            for n, fill in enumerate(("#bf616a", "#ebcb8b", "#a3be8c"))]
    out.append(f'<text x="{columns / 2:g}" y="{top + 20}" text-anchor="middle" fill="{DIM}">{html.escape(title)}</text>')
    state, first = {}, top + BAR + PAD
    for row, line in enumerate(lines):
        at, base = 0, first + row * CELL_H + FONT - 1
        for number, part in enumerate(re.split(r"\x1b\[([0-9;]*)m", line)):
            if number % 2:
                state = style(state, part)
                continue
            for text in re.findall(r"\S(?:[^ ]| (?! ))*|\s+", part):
                cells = width(text)
                if text.strip() or state.get("reverse"):
                    fill = DIM if state.get("dim") else state.get("colour", FORE)
                    x, wide = PAD + at * CELL_W, cells * CELL_W
                    if state.get("reverse"):
                        out.append(f'<rect x="{x:g}" y="{first + row * CELL_H - 2}" width="{wide:g}" '
                                   f'height="{CELL_H - 1}" fill="{fill}"/>')
                        fill = BACK
                    bold = ' font-weight="bold"' if state.get("bold") else ""
                    out.append(f'<text x="{x:g}" y="{base}" textLength="{wide:g}" fill="{fill}"{bold}>'
                               f"{html.escape(text)}</text>")
                at += cells
    x, y = PAD + cursor[0] * CELL_W, first + cursor[1] * CELL_H - 2
    out.append(f'<rect x="{x:g}" y="{y}" width="{CELL_W}" height="{CELL_H - 1}" fill="{FORE}" opacity=".7"/>')
    return out, top + height + GAP


def main():
    shapes, top = [], 0
    for argument in sys.argv[1:]:
        title, path, x, y = re.fullmatch(r"(.*)=(.*):(\d+),(\d+)", argument).groups()
        with open(path, encoding="utf-8") as file:
            lines = file.read().rstrip("\n").split("\n")
        drawn, top = window(title, lines, (int(x), int(y)), top)
        shapes += drawn
    columns = COLUMNS * CELL_W + 2 * PAD
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns:g} {top - GAP}" width="{columns:g}" '
          f'height="{top - GAP}" font-size="{FONT}" xml:space="preserve" '
          'font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,\'DejaVu Sans Mono\',monospace">')
    print("\n".join(shapes))
    print("</svg>")


main()
