"""The manifests as kustomize builds them: valid for the API server and the operator, large enough for the run."""

import importlib.metadata
import itertools
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from system.config import RunConfig, resolve
from system.presets import PRESETS
from tests.k8s.structural_schema import errors

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "k8s"
KUSTOMIZATIONS = ["base", "overlays/small", "overlays/gpu"]
KUBERNETES_VERSION = "1.31"  # whose built-in kinds the manifests are held against
LONGEST_RAYJOB_NAME = 47
MEMORY_UNITS = {"Mi": 2**20, "Gi": 2**30}
Document = dict[str, Any]


def build(folder: Path) -> str:
    """What would be sent to the API server."""
    if shutil.which("kubectl"):
        command = ["kubectl", "kustomize", str(folder)]
    elif shutil.which("kustomize"):
        command = ["kustomize", "build", str(folder)]
    elif folder.name == "base":
        resources = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf8"))["resources"]
        # unmerged, as they lie there
        return "\n---\n".join((folder / name).read_text(encoding="utf8") for name in resources)
    else:
        pytest.skip(
            "neither kubectl nor kustomize is installed: overlays cannot be built, the base is read file by file"
        )
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module", params=KUSTOMIZATIONS)
def documents(request: pytest.FixtureRequest) -> list[Document]:
    return list(yaml.safe_load_all(build(K8S / request.param)))


@pytest.fixture(scope="module")
def rayjob(documents: list[Document]) -> Document:
    (found,) = [document for document in documents if document["kind"] == "RayJob"]
    return found


@pytest.fixture(scope="module")
def pod_templates(rayjob: Document) -> dict[str, Document]:
    """Every pod that the operator makes of the job, by name."""
    cluster = rayjob["spec"]["rayClusterSpec"]
    groups = {group["groupName"]: group["template"] for group in cluster["workerGroupSpecs"]}
    return {"submitter": rayjob["spec"]["submitterPodTemplate"], "head": cluster["headGroupSpec"]["template"]} | groups


@pytest.fixture(scope="module")
def run_config(rayjob: Document) -> RunConfig:
    """The configuration that the job's command line resolves to."""
    words = shlex.split(rayjob["spec"]["entrypoint"])
    settings = [word for flag, word in itertools.pairwise(words) if flag == "--set"]
    return resolve(PRESETS[words[words.index("--preset") + 1]](), settings=settings)


def amount(text: object) -> float:
    """A Kubernetes quantity as a number."""
    found = re.fullmatch(r"([\d.]+)(m|Mi|Gi)?", str(text))
    assert found is not None, f"{text} is no quantity this test can read"
    number, unit = found.groups()
    return float(number) * (0.001 if unit == "m" else MEMORY_UNITS.get(unit, 1))


def capacity(rayjob: Document, resource: str) -> float:
    """What all workers together have, as Ray counts it."""
    groups = rayjob["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    return sum(group["replicas"] * amount(limits_of(group).get(resource, 0)) for group in groups)


def limits_of(group: Document) -> dict[str, Any]:
    (container,) = group["template"]["spec"]["containers"]
    return container["resources"]["limits"]


def test_ray_documents_follow_the_operators_schemas(documents: list[Document], shared_data: Path) -> None:
    ray_documents = [document for document in documents if document["apiVersion"] == "ray.io/v1"]
    assert ray_documents
    for document in ray_documents:
        schema = json.loads(
            (shared_data / "kuberay" / f"ray.io_{document['kind'].lower()}s_v1.schema.json").read_text(encoding="utf8")
        )
        assert errors(document, schema) == []


def test_built_in_documents_follow_the_api(documents: list[Document]) -> None:
    built_in = [document for document in documents if not document["apiVersion"].startswith("ray.io/")]
    assert built_in
    for document in built_in:
        kubernetes_validate.validate(document, KUBERNETES_VERSION, strict=True)  # raises what is wrong


def test_pod_templates_follow_the_api(pod_templates: dict[str, Document]) -> None:
    assert pod_templates
    for name, template in pod_templates.items():
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name} | template["metadata"],
            "spec": template["spec"],
        }
        kubernetes_validate.validate(pod, KUBERNETES_VERSION, strict=True)


def test_name_leaves_room_for_what_the_operator_appends(rayjob: Document) -> None:
    assert len(rayjob["metadata"]["name"]) <= LONGEST_RAYJOB_NAME


def test_ray_in_the_image_is_the_declared_and_the_locked_one(
    rayjob: Document, pod_templates: dict[str, Document]
) -> None:
    ray = rayjob["spec"]["rayClusterSpec"]["rayVersion"]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]["version"]
    tag = yaml.safe_load((K8S / "base" / "kustomization.yaml").read_text(encoding="utf8"))["images"][0]["newTag"]
    assert tag == f"{version}-ray{ray}"
    assert re.search(rf"^ray==({re.escape(ray)}) ", (ROOT / "requirements.lock").read_text(encoding="utf8"), re.M)
    assert importlib.metadata.version("ray") == ray
    assert f"mammoloop:{tag}" in (ROOT / "Makefile").read_text(encoding="utf8")
    images = {container["image"] for template in pod_templates.values() for container in template["spec"]["containers"]}
    assert images <= {f"mammoloop:{tag}", "mammoloop"}  # the bare name where nothing could be merged


def test_token_authentication_is_on_and_this_ray_has_it(rayjob: Document) -> None:
    cluster = rayjob["spec"]["rayClusterSpec"]
    assert cluster["authOptions"]["mode"] == "token"
    assert tuple(map(int, cluster["rayVersion"].split("."))) >= (2, 52)


def test_cluster_goes_away_by_one_rule_and_in_any_case_by_a_deadline(rayjob: Document) -> None:
    spec = rayjob["spec"]
    assert ("deletionStrategy" in spec) != ("ttlSecondsAfterFinished" in spec)
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["activeDeadlineSeconds"] > 0
    assert "clusterSelector" not in spec


def test_head_takes_no_tasks(rayjob: Document) -> None:
    assert rayjob["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_worker_groups_are_fixed_and_labelled_by_the_group_not_by_start_parameters(rayjob: Document) -> None:
    for group in rayjob["spec"]["rayClusterSpec"]["workerGroupSpecs"]:
        assert group["minReplicas"] == group["replicas"] == group["maxReplicas"]
        assert "labels" not in group["rayStartParams"]
        assert group["labels"]["mammoloop.io/role"] in group["groupName"]


def test_no_service_account_token_reaches_a_pod(documents: list[Document], pod_templates: dict[str, Document]) -> None:
    assert {document["kind"] for document in documents}.isdisjoint(
        {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
    )
    for template in pod_templates.values():
        assert template["spec"]["automountServiceAccountToken"] is False
        assert template["spec"]["serviceAccountName"] == "mammoloop"


def test_every_pod_passes_the_restricted_standard(
    documents: list[Document], pod_templates: dict[str, Document]
) -> None:
    (namespace,) = [document for document in documents if document["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for template in pod_templates.values():
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert all(set(volume) - {"name"} <= {"emptyDir", "persistentVolumeClaim"} for volume in pod.get("volumes", []))
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }


def test_pods_are_not_restarted_in_place(pod_templates: dict[str, Document]) -> None:
    assert {template["spec"]["restartPolicy"] for template in pod_templates.values()} == {"Never"}


def test_memory_and_gpus_are_not_overcommitted(pod_templates: dict[str, Document]) -> None:
    for template in pod_templates.values():
        for container in template["spec"]["containers"]:
            requests, limits = container["resources"]["requests"], container["resources"]["limits"]
            assert requests["memory"] == limits["memory"]
            assert requests.get("nvidia.com/gpu") == limits.get("nvidia.com/gpu")


def test_every_ray_pod_has_shared_memory_within_its_limit(pod_templates: dict[str, Document]) -> None:
    for name, template in pod_templates.items():
        if name == "submitter":
            continue
        (container,) = template["spec"]["containers"]
        (mounted,) = [mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == "/dev/shm"]
        (volume,) = [volume for volume in template["spec"]["volumes"] if volume["name"] == mounted]
        assert volume["emptyDir"]["medium"] == "Memory"
        assert amount(volume["emptyDir"]["sizeLimit"]) < 0.5 * amount(container["resources"]["limits"]["memory"])


def test_every_mount_has_its_volume_and_every_claim_exists(
    documents: list[Document], pod_templates: dict[str, Document]
) -> None:
    claims = {document["metadata"]["name"] for document in documents if document["kind"] == "PersistentVolumeClaim"}
    for template in pod_templates.values():
        volumes = {volume["name"]: volume for volume in template["spec"].get("volumes", [])}
        used = {
            volume["persistentVolumeClaim"]["claimName"]
            for volume in volumes.values()
            if "persistentVolumeClaim" in volume
        }
        assert used <= claims
        for container in template["spec"]["containers"]:
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= set(volumes)


def test_no_secret_is_written_down(documents: list[Document], pod_templates: dict[str, Document]) -> None:
    assert "Secret" not in {document["kind"] for document in documents}
    for template in pod_templates.values():
        for container in template["spec"]["containers"]:
            plain = {variable["name"] for variable in container.get("env", []) if "value" in variable}
            assert not [name for name in plain if re.search("KEY|SECRET|TOKEN|PASSWORD", name)]


def test_network_is_closed_but_for_names_ourselves_the_operator_and_the_store(documents: list[Document]) -> None:
    policies = {
        document["metadata"]["name"]: document["spec"] for document in documents if document["kind"] == "NetworkPolicy"
    }
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert {port["port"] for rule in policies["names"]["egress"] for port in rule["ports"]} == {53}
    (store,) = policies["object-store"]["egress"]
    assert [port["port"] for port in store["ports"]] == [443]
    assert "169.254.0.0/16" in store["to"][0]["ipBlock"]["except"]
    incoming = {name: policy.get("ingress", []) for name, policy in policies.items()}
    assert {name for name, rules in incoming.items() if rules} == {"within-the-cluster", "operator-to-head"}
    assert [port["port"] for port in incoming["operator-to-head"][0]["ports"]] == [8265]


def test_policies_and_budget_select_the_pods_they_are_for(
    documents: list[Document], pod_templates: dict[str, Document]
) -> None:
    labels = [template["metadata"]["labels"] for template in pod_templates.values()]
    chosen = [
        document["spec"].get("podSelector") or document["spec"].get("selector")
        for document in documents
        if "spec" in document
    ]
    ours = [selector["matchLabels"] for selector in chosen if selector]
    assert ours
    for selector in ours:
        own = {
            key: value for key, value in selector.items() if not key.startswith("ray.io/")
        }  # the operator sets those
        assert all(own.items() <= found.items() for found in labels)


def test_training_workers_of_the_run_fit_side_by_side(rayjob: Document, run_config: RunConfig) -> None:
    resources, places = run_config.resources, 0
    for group in rayjob["spec"]["rayClusterSpec"]["workerGroupSpecs"]:
        limits = limits_of(group)
        by_cpu = amount(limits["cpu"]) // resources.train.cpus
        by_gpu = amount(limits.get("nvidia.com/gpu", 0)) // resources.train.gpus if resources.train.gpus else by_cpu
        places += group["replicas"] * int(min(by_cpu, by_gpu))
    assert places >= resources.train.num_workers
    assert resources.cluster.address == "auto"
    for train in (run_config.stage1, run_config.rounds.train):
        assert train.batch_size % resources.train.num_workers == 0


def test_predictors_and_the_tasks_that_decode_for_them_fit_side_by_side(
    rayjob: Document, run_config: RunConfig
) -> None:
    infer = run_config.resources.infer
    assert capacity(rayjob, "nvidia.com/gpu") >= infer.num_predictors * infer.predictor_gpus
    assert capacity(rayjob, "cpu") >= infer.num_predictors * infer.predictor_cpus + infer.decode_cpus


def test_command_line_of_the_job_exists(rayjob: Document) -> None:
    from typer.testing import CliRunner

    from pipelines.cli.main import app

    words = shlex.split(rayjob["spec"]["entrypoint"])
    assert words[0] == "mammoloop"
    help_text = (
        CliRunner().invoke(app, [words[1], "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).output
    )
    assert {word for word in words if word.startswith("--")} <= set(re.findall(r"--[a-z-]+", help_text))


def test_image_installs_what_the_lock_pins_and_no_tools() -> None:
    pins = re.compile(r"^([\w.-]+==\S+)", re.M)
    image = set(pins.findall((ROOT / "requirements.lock").read_text(encoding="utf8")))
    assert image <= set(pins.findall((ROOT / "requirements-dev.lock").read_text(encoding="utf8")))
    assert not {"pytest", "ruff", "pyright", "hypothesis"} & {pin.split("==")[0] for pin in image}


def test_image_installs_every_dependency() -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]["dependencies"]
    names = {re.split(r"[^\w.-]", text)[0] for text in dependencies}
    assert names <= set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf8"), re.M))


def test_image_runs_without_privileges_and_holds_no_sources() -> None:
    final = (K8S / "Dockerfile").read_text(encoding="utf8").split("\nFROM ")[-1]
    assert re.search(r"^USER 1000", final, re.M)
    assert "COPY system" not in final
