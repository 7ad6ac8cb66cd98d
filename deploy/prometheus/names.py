"""Every metric that a dashboard, an alert or a page names is one that a running bridge exposes, by its label names too.

    names.py METRICS-URL FILE...
"""

import re
import sys
import urllib.request

NAME = re.compile(r"\b(openim_bridge_[a-z_]+|process_[a-z_]+)\b(?:\{([^}]*)\})?")
LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
# Prometheus adds these, or a histogram has them.
ALWAYS = {"namespace", "job", "instance", "pod", "le"}


def exposed(url: str) -> dict[str, set[str]]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels = NAME.match(line).groups()
            for alias in (name, name.removesuffix("_count")):
                found.setdefault(alias, set()).update(LABEL.findall(labels or ""))
    return found


def main() -> None:
    url, *files = sys.argv[1:]
    there = exposed(url)
    wrong, seen = [], 0
    for file in files:
        with open(file, encoding="utf-8") as opened:
            text = opened.read().replace('\\"', '"')
        for name, labels in NAME.findall(text):
            seen += 1
            if name not in there:
                wrong.append(f"{file}: {name}: a running bridge has no such metric")
            elif unknown := set(LABEL.findall(labels)) - there[name] - ALWAYS:
                wrong.append(f"{file}: {name}: it has no label {', '.join(sorted(unknown))}")
    print(*sorted(set(wrong)), sep="\n", end="\n" if wrong else "")
    print(f"{seen} metrics are named in {len(files)} files, of the {len(there)} that there are")
    sys.exit(bool(wrong) or not seen)


main()
