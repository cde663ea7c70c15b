"""Strict JSON schemas of what deploy/kubernetes uses, and the profile of Chromium."""
import json, os, re, sys

kubernetes, keda, moby = sys.argv[1:]
KINDS = {"Namespace": "core.v1", "ConfigMap": "core.v1", "Service": "core.v1", "Deployment": "apps.v1", "StatefulSet": "apps.v1",
         "Job": "batch.v1", "PodDisruptionBudget": "policy.v1", "NetworkPolicy": "networking.v1"}
defs = json.load(open(kubernetes + "/api/openapi-spec/swagger.json"))["definitions"]


def strict(s):
    """Refuses fields that are not named, as the API server would warn of."""
    if isinstance(s, list):
        return [strict(x) for x in s]
    if not isinstance(s, dict):
        return s
    if s.get("x-kubernetes-preserve-unknown-fields"):
        return {}
    if s.get("format") == "int-or-string" or s.get("x-kubernetes-int-or-string"):
        return {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    s = {k: strict(v) if k != "properties" else {n: strict(p) for n, p in v.items()} for k, v in s.items() if k not in ("description", "default")}
    if "properties" in s and "additionalProperties" not in s:
        s["additionalProperties"] = False
    return s


def collect(name, out):
    if name in out:
        return
    s = strict(defs[name])
    if name.endswith("api.resource.Quantity"):
        s = {"oneOf": [{"type": "string"}, {"type": "number"}]}
    out[name] = s
    for ref in re.findall(r'"#/definitions/([^"]+)"', json.dumps(s)):
        collect(ref, out)


os.makedirs("schemas", exist_ok=True)
for f in os.listdir("schemas"):
    os.remove("schemas/" + f)
for kind, group in KINDS.items():
    name = f"io.k8s.api.{group}.{kind}"
    out = {}
    collect(name, out)
    s = {"$ref": "#/definitions/" + name, "definitions": out}
    with open(f"schemas/{kind.lower()}.json", "w") as f:
        json.dump(s, f, sort_keys=True, separators=(",", ":"))
        f.write("\n")

import yaml  # python3-yaml; only the definition of KEDA is YAML

crd = yaml.safe_load(open(keda + "/config/crd/bases/keda.sh_scaledobjects.yaml"))
s = strict(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
s["properties"]["metadata"] = {"type": "object"}
with open("schemas/scaledobject.json", "w") as f:
    json.dump(s, f, sort_keys=True, separators=(",", ":"))
    f.write("\n")

profile = json.load(open(moby + "/default.json"))
profile["syscalls"].append({"names": ["clone", "unshare", "setns", "chroot"], "action": "SCMP_ACT_ALLOW", "comment": "for the sandbox of Chromium"})
with open("../seccomp/chromium.json", "w") as f:
    json.dump(profile, f, indent="\t")
    f.write("\n")
