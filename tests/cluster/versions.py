"""The versions of everything that is built here, and where each command comes from.

The go.mod files pin the sources; the versions are repeated here because they name the cache folders and
are stamped into the commands. A unit test holds the two together.
"""

from dataclasses import dataclass

KUBERNETES = "1.35.4"
ETCD = "3.6.5"
HELM = "4.1.4"
COREDNS = "1.14.2"
LOCAL_PATH = "0.0.30"
VERSITYGW = "1.8.0"
KIND_COMMAND = "0.33.0"
# The judge of readiness that Flux and Helm share.
KSTATUS = "0.37.2-flux.1"
KEDA = "2.21.0"
# The oldest Go that most modules accept (one may ask for a newer one), and the toolchain fetched where there is none.
GO_AT_LEAST = (1, 25)
GO_FETCHED = "1.26.6"


@dataclass(frozen=True, slots=True)
class Program:
    """One command to build: its package in one of our Go modules, and how it proves that it runs."""

    name: str
    module: str
    package: str
    version: str
    proof: tuple[str, ...] = ("--version",)
    # What the proof must print; some programs only know their version when built by their own scripts.
    says: str = ""


def _kubernetes(name: str, *, proof: tuple[str, ...] = ("--version",)) -> Program:
    return Program(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", KUBERNETES, proof, f"v{KUBERNETES}")


# In the order in which they are needed: tests of the API wait for the first two only.
ETCD_SERVER = Program("etcd", "kubernetes", "go.etcd.io/etcd/server/v3", ETCD, says=ETCD)
APISERVER = _kubernetes("kube-apiserver")
CONTROLLER_MANAGER = _kubernetes("kube-controller-manager")
SCHEDULER = _kubernetes("kube-scheduler")
KUBELET = _kubernetes("kubelet")
PROXY = _kubernetes("kube-proxy")
COREDNS_SERVER = Program("coredns", "kubernetes", "./coredns", COREDNS, ("-version",), COREDNS)
PROVISIONER = Program(
    "local-path-provisioner", "kubernetes", "github.com/rancher/local-path-provisioner", LOCAL_PATH, ("--help",)
)
KUBECTL = _kubernetes("kubectl", proof=("version", "--client"))
HELM_CLIENT = Program("helm", "kubernetes", "helm.sh/helm/v4/cmd/helm", HELM, ("version",), f"v{HELM}")
STORE = Program("versitygw", "versitygw", "github.com/versity/versitygw/cmd/versitygw", VERSITYGW, says=VERSITYGW)
KIND = Program("kind", "kind", "sigs.k8s.io/kind", KIND_COMMAND, ("version",), f"v{KIND_COMMAND}")
KSTATUS_JUDGE = Program("kstatus", "kstatus", ".", KSTATUS, says="kstatus")
KEDA_OPERATOR = Program("keda", "keda", "github.com/kedacore/keda/v2/cmd/operator", KEDA, ("--help",))
KEDA_ADAPTER = Program("keda-adapter", "keda", "github.com/kedacore/keda/v2/cmd/adapter", KEDA, ("--help",))

PLANE = (ETCD_SERVER, APISERVER, CONTROLLER_MANAGER)
NODE = (*PLANE, SCHEDULER, KUBELET, PROXY, COREDNS_SERVER, PROVISIONER)
CLIENTS = (KUBECTL, HELM_CLIENT)
