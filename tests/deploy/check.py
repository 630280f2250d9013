"""The compose file against its specification, and what schemas do not know: that the parts fit together."""
import os, re, yaml
from compose_spec import PyCompose

text = open("deploy/docker/compose.yaml").read()
env = dict(line.strip().split("=", 1) for line in open("deploy/docker/example.env") if "=" in line and not line.startswith("#"))
resolved = re.sub(r"\$\{(\w+)(?::?[-?][^}]*)?\}", lambda match: env[match.group(1)], text)  # every variable has an example
compose = yaml.safe_load(resolved)
PyCompose.from_yaml(yaml.safe_dump({key: value for key, value in compose.items() if not key.startswith("x-")})).validate()
for name, service in compose["services"].items():
    for other in service.get("depends_on", {}):
        assert other in compose["services"], (name, other)
    for volume in service.get("volumes", []):
        assert volume.split(":")[0] in compose["volumes"], (name, volume)
for name in ("api", "worker"):
    service = compose["services"][name]
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["environment"]["INPAINT_STORE"].startswith("postgres://"), service
    assert os.path.exists(os.path.join("deploy/docker", service["build"]["context"], service["build"]["dockerfile"]))
assert '"accessKey": "' + env["AWS_ACCESS_KEY_ID"] in compose["configs"]["s3"]["content"]

# What the image copies is there, and not left out of what the builder is sent.
sent = [line[1:].strip() for line in open("deploy/docker/Dockerfile.dockerignore") if line.startswith("!")]
for path in sent:
    assert os.path.exists(path), path

manifests = [document for name in os.listdir("deploy/kubernetes") for document in yaml.safe_load_all(open(f"deploy/kubernetes/{name}"))]
deployments = {document["metadata"]["name"]: document for document in manifests if document["kind"] == "Deployment"}
for document in manifests:
    target = document.get("spec", {}).get("scaleTargetRef")
    assert not target or target["name"] in deployments, document
    if document["kind"] == "Kustomization":
        for resource in document["resources"]:
            assert os.path.exists(f"deploy/kubernetes/{resource}"), resource
    if document["kind"] in ("Service", "PodDisruptionBudget"):
        wanted = document["spec"]["selector"]
        wanted = wanted.get("matchLabels", wanted)
        assert any(wanted.items() <= deployment["spec"]["template"]["metadata"]["labels"].items() for deployment in deployments.values()), document
for name, deployment in deployments.items():
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    ports = {port["name"] for port in container.get("ports", [])}
    assert deployment["spec"]["selector"]["matchLabels"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert pod["securityContext"]["runAsNonRoot"] and container["securityContext"]["readOnlyRootFilesystem"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    for probe in ("readinessProbe", "livenessProbe"):
        assert probe not in container or container[probe]["httpGet"]["port"] in ports
    args = container["args"]
    drain = int(args[args.index("--drain") + 1]) if "--drain" in args else 0
    assert pod["terminationGracePeriodSeconds"] >= drain + 20, name
# The figures that autoscaling asks for are figures that the service tells.
told = open("src/service/metrics_text.c").read()
for name in ("hpa", "keda"):
    for figure in set(re.findall(r"inpaintd_[a-z_]+", open(f"deploy/kubernetes/{name}.yaml").read())):
        assert f'"{figure}"' in told, figure
print("ok")
