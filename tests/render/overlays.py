"""Overlays that use what kustomize has, a row each: files by path. `prod` is built."""

from __future__ import annotations

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: registry.example.com/web:1.0
        args: ["--host=$(HOST)"]
        env:
        - {name: HOST, value: example.com}
        - name: PASSWORD
          valueFrom: {secretKeyRef: {name: db, key: password}}
        envFrom: [{configMapRef: {name: settings}}]
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {note: "yes"}}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
BASE: dict[str, str | bytes] = {
    "base/kustomization.yaml": "resources: [deployment.yaml, service.yaml]\n",
    "base/deployment.yaml": DEPLOYMENT,
    "base/service.yaml": SERVICE,
}


def on_base(kustomization: str, **files: str | bytes) -> dict[str, str | bytes]:
    """`_` in a name stands for a dot."""
    named = {f"prod/{name.replace('_', '.')}": content for name, content in files.items()}
    return {**BASE, "prod/kustomization.yaml": f"resources: [../base]\n{kustomization}", **named}


OVERLAYS: dict[str, dict[str, str | bytes]] = {
    "nothing more": on_base(""),
    "prefix, suffix, namespace": on_base("namePrefix: a-\nnameSuffix: -b\nnamespace: shop\n"),
    "labels": on_base(
        "labels:\n- pairs: {team: a}\n  includeSelectors: true\n- pairs: {tier: b}\n  includeTemplates: true\n"
    ),
    "common labels and annotations": on_base("commonLabels: {team: a}\ncommonAnnotations: {by: 'on'}\n"),
    "images": on_base("images:\n- {name: registry.example.com/web, newName: mirror/web, digest: 'sha256:abc'}\n"),
    "replicas": on_base("replicas: [{name: web, count: 5}]\n"),
    "generators with hashes": on_base(
        "configMapGenerator:\n- name: settings\n  literals: [A=1, 'B=x: y']\n  files: [conf=c.txt, bin.dat]\n"
        "secretGenerator:\n- name: db\n  envs: [db.env]\n  type: Opaque\n",
        c_txt="several\nlines\n",
        bin_dat=b"\x00\xff\xfe",
        db_env="# comment\npassword=p#a ss=\nOTHER=ünï\n",
    ),
    "generator options": on_base(
        "generatorOptions: {disableNameSuffixHash: true, immutable: true, labels: {a: b}}\n"
        "configMapGenerator: [{name: settings, literals: [A=1]}]\n"
    ),
    "generators merged onto a base's": {
        "base/kustomization.yaml": "secretGenerator: [{name: s, literals: [a=1, b=2]}]\n",
        "prod/kustomization.yaml": "resources: [../base]\nsecretGenerator: [{name: s, behavior: merge, literals: [b=3]}]\n",
    },
    "strategic patch in place": on_base(
        "patches:\n- patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: web}\n"
        "    spec: {template: {spec: {containers: [{name: web, resources: {limits: {memory: 1Gi}}}]}}}\n"
    ),
    "strategic patch that deletes": on_base(
        "patches: [{path: p.yaml}]\n",
        p_yaml="apiVersion: v1\nkind: Service\nmetadata: {name: web}\n$patch: delete\n",
    ),
    "patch by target": on_base(
        "patches:\n- path: p.yaml\n  target: {kind: Deployment, labelSelector: app=web}\n",
        p_yaml="- {op: replace, path: /spec/replicas, value: 4}\n- {op: add, path: /spec/paused, value: true}\n",
    ),
    "JSON 6902 patch of annotations that are there": on_base(
        'patches:\n- target: {kind: Service}\n  patch: \'[{"op": "add", "path": "/metadata/annotations/x", "value": "y"}]\'\n'
    ),
    "JSON 6902 patch of annotations that are not": on_base(
        'patches:\n- target: {kind: Deployment}\n  patch: \'[{"op": "add", "path": "/metadata/annotations/x", "value": "y"}]\'\n'
    ),
    "JSON 6902 test that fails": on_base(
        'patches:\n- target: {kind: Deployment}\n  patch: \'[{"op": "test", "path": "/spec/replicas", "value": 9}]\'\n'
    ),
    "annotations taken away": on_base(
        'patches:\n- target: {kind: Service}\n  patch: \'[{"op": "remove", "path": "/metadata/annotations/note"}]\'\n'
    ),
    "old patch fields": on_base(
        "patchesStrategicMerge: [p.yaml]\npatchesJson6902:\n- target: {group: apps, version: v1, kind: Deployment, name: web}\n"
        '  patch: \'[{"op": "replace", "path": "/spec/replicas", "value": 2}]\'\n',
        p_yaml="apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: NodePort}\n",
    ),
    "replacements": on_base(
        "replacements:\n- source: {kind: Service, name: web, fieldPath: 'spec.ports.0.port'}\n  targets:\n"
        "  - select: {kind: Deployment}\n    fieldPaths: ['spec.template.spec.containers.[name=web].ports.0.containerPort']\n"
        "    options: {create: true}\n- path: r.yaml\n",
        r_yaml="source: {kind: Deployment, name: web, fieldPath: metadata.name}\ntargets:\n"
        "- select: {kind: Service}\n  fieldPaths: [metadata.annotations.note]\n",
    ),
    "replacement with a delimiter": on_base(
        "replacements:\n- source: {kind: Service, name: web, fieldPath: metadata.name}\n  targets:\n"
        "  - select: {kind: Deployment}\n    fieldPaths: ['spec.template.spec.containers.[name=web].image']\n"
        "    options: {delimiter: '/', index: 0}\n"
    ),
    "vars": on_base("vars:\n- name: HOST\n  objref: {kind: Service, name: web, apiVersion: v1}\nnamePrefix: v-\n"),
    "components": {
        **on_base("components: [../component]\nnamePrefix: c-\n"),
        "component/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
        "configMapGenerator: [{name: settings, literals: [A=1]}]\nreplicas: [{name: web, count: 3}]\n",
    },
    "transformers and configurations": on_base(
        "transformers: [t.yaml]\nconfigurations: [c.yaml]\nnamePrefix: x-\n",
        t_yaml="apiVersion: builtin\nkind: AnnotationsTransformer\nmetadata: {name: a}\nannotations: {k: v}\n"
        "fieldSpecs: [{path: metadata/annotations, create: true}]\n",
        c_yaml="nameReference:\n- kind: Service\n  fieldSpecs: [{kind: Deployment, path: spec/template/spec/containers/env/value}]\n",
    ),
    "generator plugins that are built in": on_base(
        "generators: [g.yaml]\n",
        g_yaml="apiVersion: builtin\nkind: SecretGenerator\nmetadata: {name: made}\nliterals: [a=b]\n",
    ),
    "a validator that changes something": on_base(
        "validators: [v.yaml]\n",
        v_yaml="apiVersion: builtin\nkind: LabelTransformer\nmetadata: {name: v}\nlabels: {app: web}\nfieldSpecs: [{path: metadata/labels}]\n",
    ),
    "sort options": on_base("sortOptions: {order: fifo}\nconfigMapGenerator: [{name: settings, literals: [A=1]}]\n"),
    "build metadata": on_base(
        "buildMetadata: [originAnnotations, transformerAnnotations, managedByLabel]\nnamePrefix: m-\n"
    ),
    "a base twice": {
        **BASE,
        "a/kustomization.yaml": "resources: [../base]\nnamePrefix: a-\n",
        "b/kustomization.yaml": "resources: [../base]\nnamePrefix: b-\n",
        "prod/kustomization.yaml": "resources: [../a, ../b]\n",
    },
    "a base twice without telling apart": {**BASE, "prod/kustomization.yaml": "resources: [../base, ../base]\n"},
    "a file above the folder": {**BASE, "prod/kustomization.yaml": "resources: [../base/service.yaml]\n"},
    "words that are not text": {
        "prod/kustomization.yaml": "resources: [c.yaml]\n",
        "prod/c.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: {}}\n"
        "data: {a: yes, b: 'yes', c: 0123, d: 1e3, e: ~, f: 2026-01-01, g: 12345678901234567890, h: 1.0}\n",
    },
    "a list": {
        "prod/kustomization.yaml": "resources: [l.yaml]\n",
        "prod/l.yaml": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n"
        "- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n",
    },
    "local configuration": {
        "prod/kustomization.yaml": "resources: [l.yaml]\n",
        "prod/l.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {config.kubernetes.io/local-config: 'true'}}\n"
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n",
    },
    "a schema of its own": on_base(
        "openapi: {path: schema.json}\n",
        schema_json='{"definitions": {"io.example.Thing": {"properties": {"a": {"type": "string"}},'
        ' "x-kubernetes-group-version-kind": [{"group": "example.io", "version": "v1", "kind": "Thing"}]}}}',
    ),
    "an empty kustomization": {"prod/kustomization.yaml": "kind: Kustomization\n"},
    "an unknown field": on_base("nonsense: true\n"),
    "two kustomizations": {**on_base(""), "prod/Kustomization": "resources: [../base]\n"},
    "a patch without its object": on_base(
        "patches: [{path: p.yaml}]\n",
        p_yaml="apiVersion: v1\nkind: Service\nmetadata: {name: other}\nspec: {type: NodePort}\n",
    ),
}
_JSON6902 = "patches:\n- target: {kind: Service}\n  patch: '[%s]'\n"
_CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {A: '1'}\n"
_GENERATED = "configMapGenerator: [{name: settings, literals: [A=1]}]\n"
ODD: dict[str, dict[str, str | bytes]] = {
    "documents written in several ways": {
        "prod/kustomization.yaml": "resources: [a.yaml, b.json, c.yaml, d.yaml]\n",
        "prod/a.yaml": "# one\n---\n# two\n" + SERVICE + "--- # three\n\n---\n" + _CONFIG.replace("\n", "\r\n"),
        "prod/b.json": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}',
        "prod/c.yaml": '"apiVersion": v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: |\n    ---\n    b: c\n',
        "prod/d.yaml": "  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: d}\n",
    },
    "a resource that is a generator's file too": on_base(
        "secretGenerator: [{name: s, files: [../base/service.yaml]}]\n"
    ),
    "a resource that another kustomization reads as a file": {
        **BASE,
        "prod/kustomization.yaml": "resources: [../base, ../more]\n",
        "more/kustomization.yaml": "secretGenerator: [{name: s, files: [../base/service.yaml]}]\n",
    },
    "a whole object replaced": on_base(
        _JSON6902
        % '{"op": "replace", "path": "", "value": {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}}'
    ),
    "a whole object tested": on_base(_JSON6902 % '{"op": "test", "path": "", "value": {}}'),
    "a whole object copied into itself": on_base(_JSON6902 % '{"op": "copy", "from": "", "path": "/spec/copy"}'),
    "a strategic patch of a whole object": on_base(
        "patches: [{path: p.yaml}]\n",
        p_yaml="apiVersion: v1\nkind: Service\nmetadata: {name: web}\n$patch: replace\nspec: {type: NodePort}\n",
    ),
    "a hash over a whole object": {
        "prod/kustomization.yaml": "resources: [a.yaml]\n",
        "prod/a.yaml": SERVICE.replace('note: "yes"', "internal.config.kubernetes.io/needsHashSuffix: enabled"),
    },
    "a file's object merged with what is generated": {
        "prod/kustomization.yaml": "resources: [a.yaml]\n" + _GENERATED.replace("}", ", behavior: merge}"),
        "prod/a.yaml": _CONFIG,
    },
    "a file's object replaced by what is generated": {
        "base/kustomization.yaml": "resources: [a.yaml]\n",
        "base/a.yaml": _CONFIG,
        "prod/kustomization.yaml": "resources: [../base]\n" + _GENERATED.replace("}", ", behavior: replace}"),
    },
    "annotations of what is generated taken away": on_base(
        _GENERATED + "patches:\n- target: {kind: ConfigMap}\n  patch: '{apiVersion: v1, kind: ConfigMap,"
        " metadata: {name: settings, annotations: null}}'\n"
    ),
    "annotations of what is generated copied": on_base(
        _GENERATED + "patches:\n- target: {kind: ConfigMap}\n"
        """  patch: '[{"op": "copy", "from": "/metadata/annotations", "path": "/data/copy"}]'\n"""
    ),
    "options of what is generated": on_base(
        "generatorOptions: {annotations: {a: b}, labels: {c: d}}\n"
        "secretGenerator: [{name: s, literals: [a=b], options: {annotations: {e: f}, disableNameSuffixHash: true}}]\n"
        "configMapGenerator: [{name: settings, literals: [A=1], options: {immutable: true}}]\n"
    ),
}
"""Overlays that would show what a build has more than kustomize's own, or hide where an object comes from."""
OVERLAYS |= ODD
REFUSED = {
    "a whole object copied into itself",
    "a whole object tested",
    "JSON 6902 test that fails",
    "a base twice without telling apart",
    "an empty kustomization",
    "an unknown field",
    "two kustomizations",
    "a patch without its object",
    "a validator that changes something",
}
"""Rows that have no result."""

CONTAINERS_WITHOUT_KEY = {
    "definitions": {
        "io.k8s.api.apps.v1.Deployment": {
            "properties": {
                "spec": {
                    "properties": {
                        "template": {
                            "properties": {"spec": {"properties": {"containers": {"type": "array", "items": {}}}}}
                        }
                    }
                }
            },
            "x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": "Deployment"}],
        }
    }
}
_CONTAINERS = "spec: {template: {spec: {containers: [%s]}}}\n"
_WORKLOAD = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
PATCH_OF_ONE_CONTAINER = {
    "prod/kustomization.yaml": "resources: [d.yaml]\npatches: [{path: p.yaml}]\n",
    "prod/d.yaml": _WORKLOAD + _CONTAINERS % "{name: web, image: a}, {name: guard, image: b}",
    "prod/p.yaml": _WORKLOAD + _CONTAINERS % "{name: web, image: c}",
}
