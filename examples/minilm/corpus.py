"""The training texts: descriptions of Debian's packages, their sections and their translations.

They are read from apt's package lists. To have all the languages that are used here, without touching the lists
of the machine:

  mkdir -p lists/partial
  apt-get update -o Dir::State::lists=$PWD/lists -o Acquire::Languages=en,cs,da,de,es,fi,fr,it,nl,pl,pt_BR,sk

The descriptions are under the licences of the packages that they describe. What is drawn from them is
divided by source package, so that nearly equal descriptions never stand on both sides.
"""

import hashlib
import random
import re
import subprocess
from pathlib import Path

SECTIONS = {
    "games": ["games"],
    "science": ["science", "math"],
    "network": ["net", "web", "httpd", "mail"],
    "audio-video": ["sound", "video"],
    "graphics": ["graphics"],
    "system": ["admin", "kernel", "shells"],
    "desktop": ["gnome", "kde", "xfce", "x11"],
    "development": ["devel", "vcs", "interpreters"],
    "text": ["text", "editors", "tex"],
    "fonts": ["fonts"],
    "databases": ["database"],
    "electronics": ["electronics", "hamradio", "embedded"],
}
LANGUAGES = ["cs", "da", "de", "en", "es", "fi", "fr", "it", "nl", "pl", "pt_BR", "sk"]


def stanzas(lists, ending):
    """The stanzas, as dictionaries, of the lists of the main archive whose name ends so, compressed or not."""
    files = [path for path in sorted(Path(lists).iterdir())
             if re.search(rf"_debian_dists_[a-z]+_main_{re.escape(ending)}(\.\w+)?$", path.name)]
    if not files:
        raise SystemExit(f"error: {lists}: no list {ending}: run apt-get update with its language (see corpus.py)")
    for path in files:
        text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path], check=True, capture_output=True, text=True)
        for stanza in text.stdout.split("\n\n"):
            fields = re.findall(r"^([\w-]+): ?(.*(?:\n .*)*)", stanza, re.M)
            if fields:
                yield dict(fields)


def paragraphs(description):
    """The synopsis and the paragraphs of a description; lists and quoted lines are left out."""
    synopsis, *lines = description.split("\n")
    text = "\n".join(line[1:] if not re.match(r" \s", line) else "." for line in lines)
    found = (" ".join(part.split()) for part in re.split(r"^\.$", text, flags=re.M))
    return [synopsis.strip()] + [part for part in found if part and not re.match(r"[-*•]", part)]


def sources(lists):
    """package -> (source package, section) of every package that a user would look for by itself."""
    found = {}
    for fields in stanzas(lists, "binary-amd64_Packages"):
        name, tags = fields["Package"], fields.get("Tag", "")
        if re.search(r"-(dev|doc|dbg|data|common|l10n.*|dbgsym)$", name) or "role::shared-lib" in tags:
            continue
        found[name] = (fields.get("Source", name).split()[0], fields.get("Section", ""))
    return found


def descriptions(lists, language):
    """package -> (md5 of the English original, paragraphs)."""
    return {fields["Package"]: (fields["Description-md5"], paragraphs(fields[f"Description-{language}"]))
            for fields in stanzas(lists, f"i18n_Translation-{language.replace('_', '%5f')}")
            if f"Description-{language}" in fields}


def held_out(source):
    """Whether a source package belongs to the fifth that is only used to measure."""
    return hashlib.sha256(source.encode()).digest()[0] < 51


def summary(parts):
    """The synopsis and what follows it at once."""
    return ". ".join(parts[:2])


def topics(lists, english, limit):
    """(text, section group, package, source), one a source package, at most `limit` a group."""
    group_of = {section: group for group, names in SECTIONS.items() for section in names}
    seen, groups = set(), {group: [] for group in SECTIONS}
    for package, (source, section) in sorted(sources(lists).items()):
        if section in group_of and package in english and source not in seen:
            seen.add(source)
            groups[group_of[section]].append((summary(english[package][1]), group_of[section], package, source))
    random.Random(0).shuffle(rows := [row for rows in groups.values() for row in random.Random(0).sample(
        rows, min(limit, len(rows)))])
    return rows


def snippets(lists, limit):
    """(three to seven words, language, package, source), at most `limit` a language."""
    draw, of_package, rows = random.Random(1), sources(lists), []
    english = descriptions(lists, "en")
    for language in LANGUAGES:
        found = []
        texts = english if language == "en" else descriptions(lists, language)
        packages = [package for package in sorted(texts) if package in of_package and package in english]
        draw.shuffle(packages)
        for package in packages[:limit]:
            original = " ".join(english[package][1])
            for part in texts[package][1][1:4]:
                for sentence in re.split(r"(?<=[.:;]) ", part):
                    words, count = sentence.split(), draw.randint(3, 7)
                    at = draw.randint(0, max(0, len(words) - count))
                    text = " ".join(words[at:at + count])
                    if len(words) >= 3 and (language == "en" or text not in original):
                        found.append((text, language, package, of_package[package][0]))
        draw.shuffle(found)
        rows += found[:limit]
    draw.shuffle(rows)
    return rows


def translations(lists, english, language, limit):
    """(translated text, English text, package, source), one a source package."""
    of_package, seen, rows = sources(lists), set(), []
    for package, (md5, parts) in sorted(descriptions(lists, language).items()):
        if package in of_package and package in english and english[package][0] == md5:
            source = of_package[package][0]
            if source not in seen and len(parts) > 1 and parts[1:2] != english[package][1][1:2]:
                seen.add(source)
                rows.append((summary(parts), summary(english[package][1]), package, source))
    random.Random(2).shuffle(rows)
    return rows[:limit]
