"""What each Kubernetes program is told: pure functions from settings to command lines and configuration files."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.authority import Authority, Certificate
from cluster.network import Plan

Arguments = list[str]
PAUSE = "tidemill.dev/system/pause:1"
FRONT_PROXY = "front-proxy-client"

# RequestResponse for writes of our own API, so that tests can ask who changed what, and in which order; the rest
# by name only. Leases and health checks are noise, and would be most of the log; a service account's Leases are our own.
AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "RequestResponse",
            "verbs": ["create", "update", "patch", "delete", "deletecollection"],
            "resources": [{"group": "tidemill.dev"}],
        },
        {"level": "None", "nonResourceURLs": ["/healthz*", "/readyz*", "/livez*", "/openapi*", "/api*", "/version"]},
        {
            "level": "Metadata",
            "userGroups": ["system:serviceaccounts"],
            "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
        },
        {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
        {"level": "Metadata"},
    ],
}


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Where one control plane keeps its files and listens."""

    folder: Path
    address: str
    port: int
    etcd_port: int
    etcd_peer_port: int
    services: str = "10.96.0.0/16"

    @property
    def first_service(self) -> str:
        """The address that the API server takes for the service `kubernetes`."""
        return str(ipaddress.ip_network(self.services)[1])

    @property
    def server(self) -> str:
        return f"https://{self.address}:{self.port}"

    @property
    def authority(self) -> Authority:
        return Authority(self.folder / "certificates")

    @property
    def front_proxy(self) -> Authority:
        """Who vouches for the API server where it hands a request on to an API of somebody else's."""
        return Authority(self.folder / "front-proxy")

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit" / "audit.log"

    @property
    def audit_policy(self) -> Path:
        return self.folder / "audit-policy.json"

    def kubeconfig(self, client: str) -> Path:
        return self.folder / f"{client}.kubeconfig"


def etcd(plane: ControlPlane) -> Arguments:
    """One member, on loopback, without fsync: what it holds is not worth a slow disk."""
    client = f"http://127.0.0.1:{plane.etcd_port}"
    peer = f"http://127.0.0.1:{plane.etcd_peer_port}"
    return [
        "--name=tidemill",
        f"--data-dir={plane.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=tidemill={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver(
    plane: ControlPlane,
    serving: Certificate,
    *,
    kubelets: Certificate | None = None,
    onward: Certificate | None = None,
) -> Arguments:
    """The API server; `kubelets` is what it shows to kubelets, `onward` to servers of other APIs, where there are any."""
    authority = plane.authority
    arguments = [
        f"--etcd-servers=http://127.0.0.1:{plane.etcd_port}",
        f"--bind-address={plane.address}",
        f"--advertise-address={plane.address}",
        f"--secure-port={plane.port}",
        f"--client-ca-file={authority.certificate}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--service-cluster-ip-range={plane.services}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={authority.service_accounts}",
        f"--service-account-signing-key-file={authority.service_accounts}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        "--profiling=false",
        f"--audit-policy-file={plane.audit_policy}",
        f"--audit-log-path={plane.audit_log}",
        "--audit-log-maxsize=200",
        "--audit-log-maxbackup=2",
        # Nothing may be missing from a log that serves as ground truth.
        "--audit-log-mode=blocking",
    ]
    if onward is not None:
        arguments += [
            f"--proxy-client-cert-file={onward.certificate}",
            f"--proxy-client-key-file={onward.key}",
            f"--requestheader-client-ca-file={plane.front_proxy.certificate}",
            f"--requestheader-allowed-names={FRONT_PROXY}",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            # To the pods themselves: from where the API server is, no route leads to the addresses of services.
            "--enable-aggregator-routing",
        ]
    if kubelets is None:
        # An address on loopback is not one that an Endpoints object may hold.
        return [*arguments, "--endpoint-reconciler-type=none"]
    return [
        *arguments,
        f"--kubelet-certificate-authority={authority.certificate}",
        f"--kubelet-client-certificate={kubelets.certificate}",
        f"--kubelet-client-key={kubelets.key}",
        "--kubelet-preferred-address-types=InternalIP",
    ]


def controller_manager(plane: ControlPlane) -> Arguments:
    """All default controllers but those that hand out address ranges: there is one node at most."""
    return [
        f"--kubeconfig={plane.kubeconfig('controller-manager')}",
        f"--service-account-private-key-file={plane.authority.service_accounts}",
        f"--root-ca-file={plane.authority.certificate}",
        "--use-service-account-credentials",
        "--controllers=*,-node-ipam-controller,-node-route-controller,-cloud-node-lifecycle-controller",
        "--leader-elect=false",
        "--profiling=false",
        "--secure-port=0",
    ]


def scheduler(plane: ControlPlane) -> Arguments:
    """The scheduler, alone and so without an election."""
    return [
        f"--kubeconfig={plane.kubeconfig('scheduler')}",
        "--leader-elect=false",
        "--profiling=false",
        "--secure-port=0",
    ]


@dataclass(frozen=True, slots=True)
class Node:
    """The one node of an embedded cluster."""

    name: str
    folder: Path
    run: Path
    network: Plan
    cgroup: str

    @property
    def plane(self) -> ControlPlane:
        # The namespace is ours alone, so everything has its usual port.
        return ControlPlane(self.folder, self.network.node, 6443, 2379, 2380, services=str(self.network.services))

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"


def containerd(node: Node) -> str:
    """containerd's configuration: everything under our own folders, nothing pulled from anywhere."""
    return f"""\
version = 2
root = "{node.folder}/containerd"
state = "{node.run}/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.internal.v1.tracing", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]

[grpc]
  address = "{node.containerd_socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{node.folder}/containerd-opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Negative OOM scores need a capability that root in a container or a small VM may lack; without this every sandbox
  # fails with "can't get final child's PID from pipe: EOF".
  restrict_oom_score_adj = true
  enable_unprivileged_ports = true
  tolerate_missing_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  max_concurrent_downloads = 1
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{node.folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "{node.run}/runc"
      SystemdCgroup = false
"""


def pod_network(node: Node, *, identity: str) -> dict[str, Any]:
    """The CNI configuration; `identity` marks the files that libcni leaves in a folder of its own choice."""
    return {
        "cniVersion": "0.4.0",
        "name": identity,
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods",
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(node.run / "addresses"),
                    "ranges": [[{"subnet": str(node.network.pods)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet(node: Node, serving: Certificate) -> dict[str, Any]:
    """The kubelet's configuration: it guards nothing but our own pods, so it reserves and evicts next to nothing."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.plane.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(node.plane.authority.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "containerRuntimeEndpoint": f"unix://{node.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": node.cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        "clusterDNS": [node.network.dns],
        "clusterDomain": "cluster.local",
        # An empty file: the machine's own name servers are out of reach from in here.
        "resolvConf": str(node.folder / "resolv.conf"),
        "podLogsDir": str(node.folder / "pod-logs"),
        "volumePluginDir": str(node.folder / "volume-plugins"),
        "staticPodPath": "",
        "maxPods": 200,
        "registerNode": True,
        "healthzPort": 0,
        "readOnlyPort": 0,
        "protectKernelDefaults": False,
        "makeIPTablesUtilChains": False,
        "enableControllerAttachDetach": True,
        "evictionHard": {"memory.available": "64Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        # Images come from nowhere a second time, so they are never collected.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "imageMinimumGCAge": "8760h",
        "serializeImagePulls": True,
        "shutdownGracePeriod": "0s",
        "nodeStatusUpdateFrequency": "10s",
        "volumeStatsAggPeriod": "5m",
        "containerLogMaxSize": "20Mi",
        "logging": {"verbosity": 1},
    }


def kubelet_arguments(node: Node) -> Arguments:
    """What cannot be said in the kubelet's configuration file."""
    return [
        f"--config={node.folder / 'kubelet.json'}",
        f"--kubeconfig={node.plane.kubeconfig('kubelet')}",
        f"--root-dir={node.folder / 'kubelet'}",
        f"--cert-dir={node.folder / 'kubelet-certificates'}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.plane.address}",
        "--housekeeping-interval=30s",
    ]


def proxy(node: Node) -> dict[str, Any]:
    """kube-proxy's configuration; it may change the tables of its own network namespace and no kernel setting."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(node.plane.kubeconfig("proxy"))},
        "bindAddress": node.plane.address,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "hostnameOverride": node.name,
        "clusterCIDR": str(node.network.pods),
        "detectLocalMode": "ClusterCIDR",
        "oomScoreAdj": 0,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "nftables": {"syncPeriod": "1h", "minSyncPeriod": "100ms"},
    }
