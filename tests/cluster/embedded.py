"""A single-node Kubernetes made of plain processes, for a Linux machine that has root but no container engine.

The node lives in a network namespace and a mount namespace of its own, so that it changes neither the firewall nor
the folders of the machine; and all its processes, pods included, live in one control group, so that nothing can
escape `down`.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from cluster import cgroups, mounts, network, packages, processes, programs, settings, system_images, versions
from cluster.api import Api, TooLate, wait
from cluster.choice import Provider
from cluster.commands import run
from cluster.components import Node
from cluster.paths import HERE, ClusterPaths
from cluster.progress import note, step

# Folders that kubelet, containerd and the CNI plugins insist on; inside the node each of them is one of ours.
INSISTED = ("/var/lib/kubelet", "/var/lib/cni", "/var/log/containers", "/var/log/pods", "/run/containerd")
# These would start again what is being ended; the rest goes with the control group.
STOPPED_FIRST = ("kubelet", "kube-proxy", "kube-controller-manager", "kube-scheduler")


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embedded cluster that lives in `paths`."""

    paths: ClusterPaths

    @property
    def provider(self) -> Provider:
        return Provider.EMBEDDED

    @property
    def context(self) -> str:
        return f"embedded-{self.paths.name}"

    @property
    def group(self) -> str:
        return f"tidemill-{self.paths.name}"

    @property
    def processes(self) -> list[processes.Record]:
        """The servers that were started, whether they still live or not."""
        return processes.recorded(self.paths.state / "processes")

    def parts(self) -> dict[str, str]:
        """Each server and whether it lives."""
        return {record.name: "running" if record.alive else "ended" for record in self.processes}

    def healthy(self) -> bool:
        """Whether the cluster is up, with all its servers."""
        if len(self.processes) < len(settings.SERVERS) or not all(record.alive for record in self.processes):
            return False
        return self._api(self._node()).ready

    def exists(self) -> bool:
        """Whether anything is left of it, working or not."""
        groups = cgroups.groups(self.group)
        card = Path("/sys/class/net", network.card(self.paths.name))
        return any(path.exists() for path in (self.paths.state, self.paths.run, card, *groups))

    def up(self) -> None:
        """Bring the cluster up; nothing happens if it is, and what a crash left behind is cleared away first."""
        with programs.exclusive(f"cluster-{self.paths.name}"):
            if self.healthy():
                return
            packages.ensure(packages.NODE)
            programs.ensure([*versions.NODE, versions.KUBECTL])
            if self.exists():
                with step("clearing away what an earlier cluster left behind"):
                    self._remove()
            try:
                self._create()
            except BaseException as failure:
                if isinstance(failure, Exception):
                    self._show_logs()
                with step("taking down what was already up"):
                    self._remove()
                raise

    def down(self) -> None:
        """Take the cluster down and leave nothing of it."""
        with programs.exclusive(f"cluster-{self.paths.name}"):
            self._remove()

    def load(self, archive: bytes) -> None:
        """Give the node the images of a docker or OCI archive."""
        self.containerd("images", "import", "-", given=archive)

    def containerd(self, *arguments: str, given: bytes | None = None) -> str:
        """Say something to the node's containerd, and return its answer."""
        return run(self.containerd_command(*arguments), given=given)

    def containerd_command(self, *arguments: str) -> list[str]:
        """The same as a command line."""
        return ["ctr", "--address", str(self.paths.run / "containerd.sock"), "--namespace", "k8s.io", *arguments]

    def _create(self) -> None:
        with step("preparing network, certificates and settings"):
            self._remember(network.choose(network.in_use()))
            node = self._node()
            settings.write_node(node, kubeconfig_path=self.paths.kubeconfig, context=self.context, identity=self.group)
            cgroups.create(self.group)
            self._isolate()
        api = self._api(node)
        with step("starting etcd, containerd and the API server"):
            self._start(node, "etcd", "containerd", "kube-apiserver")
            self._wait("readiness of the API server", lambda: api.ready)
        with step("starting the controllers and the node"):
            self._start(node, "kube-controller-manager", "kube-scheduler", "kube-proxy")
            self._wait("containerd's socket", node.containerd_socket.exists)
            for archive in system_images.archives():
                self.load(archive)
            # The kubelet gives up at once if containerd is not there, so it comes last.
            self._start(node, "kubelet")
            self._wait("readiness of the node", lambda: api.node_ready(node.name))
        with step("starting DNS and storage"):
            self._apply_manifests(node)
            self._wait("readiness of DNS", lambda: api.deployment_available("kube-system", "coredns"))
            storage = "local-path-storage", "local-path-provisioner"
            self._wait("readiness of storage", lambda: api.deployment_available(*storage))

    def _remember(self, plan: network.Plan) -> None:
        """Write down what `down` must know and cannot see."""
        self.paths.state.mkdir(parents=True, exist_ok=True)
        insisted = [folder for name in INSISTED for folder in (Path(name), *Path(name).parents)]
        absent = [str(folder) for folder in insisted if not folder.exists()]
        self._memory.write_text(json.dumps({"network": str(plan.whole), "absent": absent}))

    def _node(self) -> Node:
        plan = network.Plan(network.Network(self._recall()["network"]))
        return Node(self.paths.name, self.paths.state, self.paths.run, plan, cgroup=f"/{self.group}")

    @property
    def _memory(self) -> Path:
        return self.paths.state / "cluster.json"

    def _recall(self) -> dict[str, Any]:
        return dict(json.loads(self._memory.read_text()))

    @property
    def _network_namespace(self) -> Path:
        return self.paths.run / "network"

    @property
    def _mount_namespace(self) -> Path:
        return self.paths.run / "mounts"

    def _api(self, node: Node) -> Api:
        return Api(node.plane.server, node.plane.authority, settings.administrator(node.plane))

    def _isolate(self) -> None:
        """Make the two namespaces; inside, the folders that programs insist on are folders of ours."""
        self.paths.run.mkdir(parents=True, exist_ok=True)
        mounts.isolate(self.paths.run)
        network.create(self.paths.name, self._node().network, self._network_namespace)
        binds = []
        for insisted in INSISTED:
            own = self.paths.state / "insisted" / insisted.strip("/").replace("/", "-")
            own.mkdir(parents=True, exist_ok=True)
            Path(insisted).mkdir(parents=True, exist_ok=True)
            binds.append(f'mount --bind "{own}" "{insisted}"')
        self._mount_namespace.touch()
        run(["unshare", f"--mount={self._mount_namespace}", "sh", "-ec", "\n".join(binds)])

    def _start(self, node: Node, *names: str) -> None:
        inside = ["nsenter", f"--net={self._network_namespace}", f"--mount={self._mount_namespace}", "--"]
        for name in names:
            command = [*cgroups.joining(self.group), *inside, *settings.SERVERS[name](node)]
            processes.start(name, command, logs=self.paths.logs, records=self.paths.state / "processes")

    def _wait(self, what: str, question: Any) -> None:
        def asked() -> bool:
            for record in self.processes:
                if not record.alive:
                    raise TooLate(f"{record.name} ended while waiting for {what}; see {self.paths.logs}")
            return bool(question())

        wait(what, asked, seconds=120)

    def _apply_manifests(self, node: Node) -> None:
        values = {"DNS": node.network.dns, "VOLUMES": str(node.folder / "volumes")}
        manifests = sorted((HERE / "manifests").glob("*.yaml"))
        # Safe, because the shell scripts in there have variables of their own.
        text = "\n---\n".join(Template(path.read_text()).safe_substitute(values) for path in manifests)
        kubectl = [str(programs.path(versions.KUBECTL)), "--kubeconfig", str(self.paths.kubeconfig)]
        run([*kubectl, "apply", "--server-side", "-f", "-"], given=text.encode(), timeout=60)

    def _show_logs(self) -> None:
        for log in sorted(self.paths.logs.glob("*.log")):
            for line in log.read_text(errors="replace").splitlines()[-5:]:
                note(f"{log.stem}: {line[:400]}")

    def _remove(self) -> None:
        try:
            absent = self._recall()["absent"]
        except (FileNotFoundError, json.JSONDecodeError):
            absent = []
        servers = {record.name: record.identity for record in self.processes}
        processes.end(servers[name] for name in STOPPED_FIRST if name in servers)
        # Everything else at once: pods and their shims, containerd, the API server, etcd.
        cgroups.remove(self.group)
        processes.end(servers.values())
        network.remove(self.paths.name)
        mounts.remove((self.paths.run, self.paths.state))
        for folder in (self.paths.run, self.paths.state):
            if folder.exists():
                shutil.rmtree(folder)
        for folder in (*absent, str(self.paths.run.parent), str(self.paths.state.parent)):
            _remove_if_empty(Path(folder))


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # absent already, or another cluster uses it
