"""Checks that the code of a page is that of a plugin: documented.py PAGE.md FOLDER. Each block of the page in a language of the plugin's files
is in one of them, but for comments and headers of files, which the page may leave out."""
import pathlib
import re
import sys

LANGUAGES = {"tablegen": ".td", "c++": ".cpp", "cmake": ".txt"}


def lines(text):
    """What counts, without descriptions and comments."""
    text = re.sub(r"  let description = \[\{.*?\}\];\n", "", text, flags=re.DOTALL)
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("//")]


page, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
found = set()
for language, block in re.findall(r"```(\S+)\n(.*?)```", page.read_text(), flags=re.DOTALL):
    if language not in LANGUAGES:
        continue
    files = [file for file in folder.iterdir() if file.suffix == LANGUAGES[language]]
    if not any(lines(block) == lines(file.read_text()) for file in files):
        sys.exit(f"{page}: a block of {language} is not what {', '.join(map(str, files))} has")
    found.add(language)
if found != set(LANGUAGES):
    sys.exit(f"{page}: expected blocks of {', '.join(LANGUAGES)}, found {', '.join(found)}")
