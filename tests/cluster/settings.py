"""Certificates, kubeconfigs and configuration files, written where the programs look for them."""

import json
from collections.abc import Callable
from pathlib import Path

from cluster import components, kubeconfig, programs, versions
from cluster.authority import Certificate
from cluster.components import ControlPlane, Node

API_NAMES = (
    "127.0.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


def administrator(plane: ControlPlane) -> Certificate:
    """Who may do everything."""
    return plane.authority.issue("tidemill-administrator", group="system:masters")


def serving(plane: ControlPlane) -> Certificate:
    """The API server's own certificate."""
    return plane.authority.issue("kube-apiserver", hosts=[plane.address, plane.first_service, *API_NAMES])


def write_plane(plane: ControlPlane, *, kubeconfig_path: Path, context: str) -> None:
    """Everything that etcd, the API server and the controllers need."""
    plane.authority.create()
    serving(plane)
    plane.audit_log.parent.mkdir(parents=True, exist_ok=True)
    plane.audit_policy.write_text(json.dumps(components.AUDIT_POLICY))
    _client(plane, "controller-manager", plane.authority.issue("system:kube-controller-manager"))
    kubeconfig.write(
        kubeconfig_path,
        server=plane.server,
        context=context,
        authority=plane.authority,
        client=administrator(plane),
    )


def write_node(node: Node, *, kubeconfig_path: Path, context: str, identity: str) -> None:
    """Everything that a control plane with a node needs."""
    plane = node.plane
    write_plane(plane, kubeconfig_path=kubeconfig_path, context=context)
    plane.authority.issue("kube-apiserver-kubelet-client", group="system:masters")
    plane.front_proxy.create()
    plane.front_proxy.issue(components.FRONT_PROXY)
    _client(plane, "scheduler", plane.authority.issue("system:kube-scheduler"))
    _client(plane, "proxy", plane.authority.issue("system:kube-proxy"))
    _client(plane, "kubelet", _kubelet(node))
    (node.folder / "resolv.conf").touch()
    (node.folder / "containerd.toml").write_text(components.containerd(node))
    (node.folder / "kubelet.json").write_text(json.dumps(components.kubelet(node, _kubelet(node))))
    (node.folder / "proxy.json").write_text(json.dumps(components.proxy(node)))
    (node.folder / "cni").mkdir(exist_ok=True)
    (node.folder / "cni" / "10-pods.conflist").write_text(json.dumps(components.pod_network(node, identity=identity)))


def _apiserver(node: Node) -> list[str]:
    kubelets = node.plane.authority.issue("kube-apiserver-kubelet-client", group="system:masters")
    onward = node.plane.front_proxy.issue(components.FRONT_PROXY)
    return components.apiserver(node.plane, serving(node.plane), kubelets=kubelets, onward=onward)


def _kubelet(node: Node) -> Certificate:
    # One certificate for both of its faces: client of the API server, and server of logs and exec.
    hosts = [node.plane.address, node.name]
    return node.plane.authority.issue(f"system:node:{node.name}", group="system:nodes", hosts=hosts)


def _client(plane: ControlPlane, name: str, client: Certificate) -> None:
    kubeconfig.write(
        plane.kubeconfig(name), server=plane.server, context=name, authority=plane.authority, client=client
    )


def _program(program: versions.Program) -> str:
    return str(programs.path(program))


# The command line of every server of a node, by name.
SERVERS: dict[str, Callable[[Node], list[str]]] = {
    "etcd": lambda node: [_program(versions.ETCD_SERVER), *components.etcd(node.plane)],
    "containerd": lambda node: ["containerd", "--config", str(node.folder / "containerd.toml")],
    "kube-apiserver": lambda node: [_program(versions.APISERVER), *_apiserver(node)],
    "kube-controller-manager": lambda node: [
        _program(versions.CONTROLLER_MANAGER),
        *components.controller_manager(node.plane),
    ],
    "kube-scheduler": lambda node: [_program(versions.SCHEDULER), *components.scheduler(node.plane)],
    "kube-proxy": lambda node: [_program(versions.PROXY), f"--config={node.folder / 'proxy.json'}"],
    "kubelet": lambda node: [_program(versions.KUBELET), *components.kubelet_arguments(node)],
}
