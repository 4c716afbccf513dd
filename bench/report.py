"""What was measured, as a table, as JSON, as a chart, and as the generated part of the document."""

import json
from pathlib import Path

from cluster import ROOT

RESULTS = ROOT / "bench/results"
DOCUMENT = ROOT / "docs/PERFORMANCE.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d", "#e45756")
EDGE_COLOUR = "#d62728"


def number(x):
    if abs(x) >= 100 or x == int(x):
        return f"{x:,.0f}"
    return f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}"


def verdict(row):
    if row.get("skipped"):
        return "skipped"
    if row["ok"] is None:
        return ""
    text = "ok" if row["ok"] else "NO"
    return text + " (too noisy to tell)" if row["noisy"] else text


def cell(c):
    if "least" in c:
        return f"{number(c['median'])} ({number(c['least'])} … {number(c['most'])})"
    return number(c["median"]) + (f" ±{50 * c['spread']:.0f}%" if len(c["rounds"]) > 1 else "")


def print_row(row):
    cells = ", ".join(f"{n} {cell(c)}" if len(row["cells"]) > 1 else cell(c)
                      for n, c in row["cells"].items())
    target = f"   [{row['target']}: {verdict(row)}]" if row["target"] else ""
    print(f"  {row['what']}: {cells} {row['unit']}{target}", flush=True)


def print_curve(curve):
    print(f"  {curve['title']} ({curve['x']} → {', '.join(curve['names'])}; {curve['y']}): " +
          "; ".join(f"{number(p[0])} → {', '.join(number(v) for v in p[1:])}"
                    for p in curve["points"]), flush=True)


def print_summary(results):
    judged = [r for r in results["rows"] if r["ok"] is not None]
    missed = [r for r in judged if not r["ok"]]
    noisy = [r for r in judged if r["noisy"]]
    print(f"\n{len(judged) - len(missed)} of {len(judged)} targets met in "
          f"{results['machine']['took_s']} s; {len(noisy)} comparisons too noisy to tell")
    for r in missed:
        print(f"  missed: {r['item']}: {r['what']} [{r['target']}]"
              f"{' (noisy)' if r['noisy'] else ''}")


# ---- chart ----

def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def bars(rows, y, width):
    """Grouped horizontal bars, each group in its own scale: what counts is the ratio."""
    out = []
    for row in rows:
        out.append(f'<text x="10" y="{y + 14}" font-weight="bold">{escape(row["what"])}, '
                   f'{escape(row["unit"])}</text>')
        y += 22
        most = max(c["median"] for c in row["cells"].values()) or 1
        for k, (name, c) in enumerate(row["cells"].items()):
            length = (width - 360) * c["median"] / most
            colour = EDGE_COLOUR if name == "edge" else COLOURS[k % len(COLOURS)]
            out.append(f'<text x="170" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
                       f'<rect x="180" y="{y}" width="{length:.1f}" height="15" fill="{colour}"/>'
                       f'<text x="{186 + length:.1f}" y="{y + 12}">{cell(c)}</text>')
            y += 19
        y += 12
    return out, y


def scale_of(values):
    return max(values) * 1.05 or 1


def plot(curve, x0, y0, w, h):
    """One curve: the x axis by rank, so that 1, 10, 100, 500 are readable."""
    out = [f'<text x="{x0}" y="{y0 + 12}" font-weight="bold">{escape(curve["title"])}: '
           f'{escape(curve["y"])}</text>']
    top, left, bottom = y0 + 24, x0 + 50, y0 + h - 40
    points = curve["points"]
    most = scale_of([v for p in points for v in p[1:]])
    step = (w - 70) / max(1, len(points) - 1)
    out.append(f'<path d="M{left},{top}V{bottom}H{x0 + w - 20}" fill="none" stroke="#888"/>'
               f'<text x="{left - 4}" y="{top + 8}" text-anchor="end">{number(most)}</text>'
               f'<text x="{left - 4}" y="{bottom}" text-anchor="end">0</text>')
    for k, p in enumerate(points):
        out.append(f'<text x="{left + k * step:.1f}" y="{bottom + 14}" '
                   f'text-anchor="middle">{number(p[0])}</text>')
    for n, name in enumerate(curve["names"]):
        colour = EDGE_COLOUR if name == "edge" else COLOURS[n % len(COLOURS)]
        line = " ".join(f"{left + k * step:.1f},{bottom - (bottom - top) * p[n + 1] / most:.1f}"
                        for k, p in enumerate(points))
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
                   f'<text x="{left + 8 + 100 * n}" y="{bottom + 30}" fill="{colour}">'
                   f'{escape(name)}</text>')
    out.append(f'<text x="{x0 + w - 20}" y="{bottom + 30}" text-anchor="end">'
               f'{escape(curve["x"])}</text>')
    return out


def chart(results):
    width = 900
    rows = [r for r in results["rows"] if len(r["cells"]) > 1]
    body, y = bars(rows, 40, width)
    for k, curve in enumerate(c for c in results["curves"] if len(c["points"]) > 1):
        x = 10 if k % 2 == 0 else width // 2
        body += plot(curve, x, y, width // 2 - 10, 230)
        if k % 2:
            y += 240
    m = results["machine"]
    head = (f'<text x="10" y="22" font-size="15" font-weight="bold">Edge Cluster {m["commit"]}, '
            f'{escape(m["cpu"])}, {m["cores"]} cores</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + 250}" '
            f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" '
            f'fill="white"/>{head}{"".join(body)}</svg>\n')


# ---- document ----

def table(rows):
    out = ["| | unit | edge | references | wanted | |", "|---|---|---|---|---|---|"]
    for r in rows:
        if r.get("skipped"):
            out.append(f"| {r['what']} | | | skipped: {r['skipped']} | | |")
            continue
        edge = cell(r["cells"]["edge"]) if "edge" in r["cells"] else "—"
        others = "; ".join(f"{n} {cell(c)}" for n, c in r["cells"].items() if n != "edge")
        out.append(f"| {r['what']} | {r['unit']} | **{edge}** | {others} | {r['target'] or ''} | "
                   f"{verdict(r)} |")
    return out


def curve_table(curve):
    out = [f"**{curve['title']}** ({curve['y']})", "",
           f"| {curve['x']} | " + " | ".join(curve["names"]) + " |",
           "|" + "---|" * (1 + len(curve["names"]))]
    out += ["| " + " | ".join(number(v) for v in p) + " |" for p in curve["points"]]
    return out + [""]


def profile_lines(profiles):
    out = []
    for p in profiles:
        kinds = ", ".join(f"{k} {v:.0f} %" for k, v in
                          sorted(p["kinds"].items(), key=lambda kv: -kv[1]) if v >= 0.5)
        out += [f"**{p['name']}**: {kinds}.", "", "| % | what | symbol |", "|---|---|---|"]
        out += [f"| {share:.1f} | {kind} | `{symbol}` |" for share, kind, symbol in p["top"]]
        out += [""]
    return out


def model(results):
    """From one machine to ten thousand edges: see the assumptions in the document."""
    small_us = results["shared"].get("model", {}).get("small_us")
    costs = [r for r in results["rows"] if r["what"].startswith("CPU of the broker per GB")]
    if not small_us or not costs:
        return []
    per_gb = costs[0]["cells"]["edge"]["median"]
    out = ["| edges | status messages/s, to every edge | broker cores | status to the edges of a "
           "group of 50 only | broker cores |", "|---|---|---|---|---|"]
    for n in (10, 100, 1000, 10000):
        everyone = n * n / 5
        group = n * min(n, 50) / 5
        out.append(f"| {n:,} | {everyone:,.0f} | {everyone * small_us / 1e6:,.2f} | {group:,.0f} | "
                   f"{group * small_us / 1e6:,.2f} |")
    out += ["", f"Fitted: {small_us:.1f} µs of broker CPU per small message delivered, "
            f"{per_gb:.2f} s per GB relayed to one viewer (two hops). A live of 2 Mbit/s with one "
            f"viewer costs the broker {per_gb * 0.25e-3 * 100:.3f} % of a core: one broker core "
            f"carries {1 / (per_gb * 0.25e-3):,.0f} of them. Assumed: cost is linear in messages "
            "and bytes (the curves above show where it bends), every edge says its status every "
            "5 s, a clustered broker adds no more than one hop per message between its nodes.", ""]
    return out


def generated(results):
    m = results["machine"]
    out = [f"Measured {m['when']} at {m['commit']}: {m['cpu']}, {m['cores']} cores, "
           f"{m['memory_gib']} GiB, Linux {m['kernel']}; {m['versions']} "
           f"{results['rounds']} rounds, {m['took_s']} s, load before {m['load_before']:.1f}.", "",
           "± is half the distance between the best and the worst round. What is *over* a reference "
           "is the median of the rounds, each compared with the reference's of the same round, and "
           "the lowest and highest of them; unless four fifths of the rounds are on the same side of "
           "what is wanted, it is *too noisy to tell*.", "",
           "![chart](../bench/results/latest.svg)", ""]
    for item in dict.fromkeys(r["item"] for r in results["rows"]):
        out += [f"### {item}", "", *table([r for r in results["rows"] if r["item"] == item]), ""]
        out += [f"- {n['text']}" for n in results["notes"] if n["item"] == item] + [""]
    if results["curves"]:
        out += ["### Growth", ""]
        for curve in results["curves"]:
            out += curve_table(curve)
    if results["profiles"]:
        out += ["### Where the edge's time goes", "", *profile_lines(results["profiles"])]
    lines = model(results)
    if lines:
        out += ["### From one machine to many: a model", "", *lines]
    return "\n".join(out)


def write(results, name, whole):
    RESULTS.mkdir(parents=True, exist_ok=True)
    stem = RESULTS / name.replace(",", "-")
    Path(f"{stem}.json").write_text(json.dumps(results, indent=1) + "\n")
    if not whole:
        return
    Path(f"{stem}.svg").write_text(chart(results))
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{generated(results)}\n{END}{after}")
