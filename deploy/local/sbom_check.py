"""Holds a CycloneDX document (argv: FILE PROGRAM CRATE) against what `cargo metadata` says on standard input."""

import json
import sys

path, program, crate = sys.argv[1:]
metadata = json.load(sys.stdin)
with open(path, encoding="utf-8") as file:
    document = json.load(file)

names = {package["id"]: (package["name"], package["version"]) for package in metadata["packages"]}
(own,) = (key for key, (name, _) in names.items() if name == crate)
(node,) = (node for node in metadata["resolve"]["nodes"] if node["id"] == own)
direct = {names[of["pkg"]] for of in node["deps"] if any(kind["kind"] is None for kind in of["dep_kinds"])}
described = {(part["name"], part["version"]) for part in document["components"]}
missing = direct - described

form = (document["bomFormat"], document["specVersion"], document["metadata"]["component"]["name"])
if form != ("CycloneDX", "1.5", program):
    sys.exit(f"{path} is {form}")
if missing or not direct:
    sys.exit(f"{path} lacks {sorted(missing)} of {len(direct)} direct dependencies of {crate}")
