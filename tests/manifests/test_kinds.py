from agent.manifests import known_kinds
from agent.manifests.kinds import Kinds, Resource
from agent.values.ids import ObjectId

V1 = Resource("example.com", "v1", "Thing", "things", namespaced=True, preferred=False)
V2 = Resource("example.com", "v2", "Thing", "things", namespaced=True)
CORE = Resource("", "v1", "Secret", "secrets", namespaced=True)


def test_a_kind_is_found_at_exactly_its_version():
    kinds = Kinds([V1, V2, CORE])
    assert kinds.served("example.com/v1", "Thing") is V1
    assert kinds.served("example.com/v3", "Thing") is None
    assert kinds.served("v1", "Secret") is CORE


def test_an_identity_without_a_version_gives_the_preferred_one_in_any_order():
    thing = ObjectId("example.com", "Thing", "a", "b")
    assert Kinds([V1, V2]).of(thing) is V2
    assert Kinds([V2, V1]).of(thing) is V2
    assert Kinds([V1]).of(thing) is V1
    assert Kinds([CORE]).of(thing) is None


def test_without_a_cluster_an_assumed_version_of_a_built_in_kind_is_not_the_preferred_one():
    kinds = known_kinds.offline([("rbac.authorization.k8s.io/v9", "ClusterRole"), ("example.com/v1", "Thing")])
    assumed = kinds.served("rbac.authorization.k8s.io/v9", "ClusterRole")
    assert assumed is not None
    assert not assumed.namespaced
    preferred = kinds.of(ObjectId("rbac.authorization.k8s.io", "ClusterRole", "", "a"))
    assert preferred is not None
    assert preferred.version == "v1"
    other = kinds.of(ObjectId("example.com", "Thing", "a", "b"))
    assert other is not None
    assert other.namespaced


def test_groups_whose_discovery_failed_are_known():
    assert Kinds([CORE], ["metrics.k8s.io"]).unavailable == {"metrics.k8s.io"}
