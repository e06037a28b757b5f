package main

import (
	"slices"
	"strings"
	"testing"
)

const (
	configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	aSecret   = "secretGenerator: [{name: s, literals: [a=b]}]\n"
)

func builtOnce(t *testing.T, files map[string]string) (*answer, *answer) {
	t.Helper()
	made, problem := newTree(&putRequest{Files: files})
	if problem != nil {
		t.Fatal(problem)
	}
	asked := &kustomizeRequest{Origins: true, OutputBytes: 1 << 20, Objects: 100}
	v := newView(made, nil)
	v.marks = newMarks()
	all := kustomize(made, asked)
	return v.built(asked), &all
}

func TestOneBuildSaysTheFilesOfItsObjects(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"patches": {
			"kustomization.yaml": "resources: [a.yaml, sub]\n" + aSecret + "namePrefix: x-\npatches:\n- target: {kind: ConfigMap}\n" +
				"  patch: '[{\"op\": \"add\", \"path\": \"/data\", \"value\": {}}]'\n",
			"a.yaml": configMap, "sub/kustomization.yaml": "resources: [b.json]\n",
			"sub/b.json": `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b"}}`,
		},
		"documents": {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": "---\n# one\n" + configMap + "---\n" + strings.Replace(configMap, "a}", "b}", 1)},
		"components": {
			"kustomization.yaml": "resources: [a.yaml]\ncomponents: [c]\n", "a.yaml": configMap,
			"c/kustomization.yaml": "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n" + aSecret,
		},
	} {
		once, all := builtOnce(t, files)
		if once == nil {
			t.Errorf("%s: another build is needed", name)
		} else if len(once.Objects) == 0 || !slices.EqualFunc(once.Objects, all.Objects, func(a, b object) bool {
			return a.File == b.File && a.File != "" && string(a.Object) == string(b.Object) && !isLeft(a.Object)
		}) {
			t.Errorf("%s: %v, not %v", name, once.Objects, all.Objects)
		}
	}
}

func TestABuildThatMaySeeItsMarksIsNotUsed(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"a resource and a generator's file": {"kustomization.yaml": "resources: [a.yaml]\nsecretGenerator: [{name: s, files: [k=a.yaml]}]\n", "a.yaml": configMap},
		"a resource, and a file of another kustomization": {
			"kustomization.yaml": "resources: [a.yaml, sub]\n", "a.yaml": configMap,
			"sub/kustomization.yaml": "secretGenerator: [{name: s, files: [../a.yaml]}]\n",
		},
		"a file, and a resource of another kustomization": {
			"kustomization.yaml": "resources: [sub]\nsecretGenerator: [{name: s, files: [a.yaml]}]\n", "a.yaml": configMap,
			"sub/kustomization.yaml": "resources: [../a.yaml]\n",
		},
		"a hash over all":               {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": strings.Replace(configMap, "a}", "a, annotations: {internal.config.kubernetes.io/needsHashSuffix: enabled}}", 1)},
		"a hash spelled with an escape": {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": strings.Replace(configMap, "a}", `a, annotations: {"internal.config.kubernetes.io/needs\x48ashSuffix": enabled}}`, 1)},
		"a hash in JSON":                {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "annotations": {"internal.config.kubernetes.io/needs\u0048ashSuffix": "enabled"}}}`},
		"a hash over two lines":         {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": strings.Replace(configMap, "a}", "a, annotations: {? \"internal.config.kubernetes.io/needs\\\n  HashSuffix\" : enabled}}", 1)},
		"a hash in base64":              {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": strings.Replace(configMap, "a}", "a, annotations: {? !!binary aW50ZXJuYWwuY29uZmlnLmt1YmVybmV0ZXMuaW8vbmVlZHNIYXNoU3VmZml4 : enabled}}", 1)},
		"a list":                        {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n"},
		"transformers":                  {"kustomization.yaml": "resources: [a.yaml]\ntransformers: [t.yaml]\n", "a.yaml": configMap, "t.yaml": "apiVersion: builtin\nkind: AnnotationsTransformer\nmetadata: {name: p}\nannotations: {k: v}\nfieldSpecs: [{path: metadata/annotations, create: true}]\n"},
		"a whole object":                {"kustomization.yaml": "resources: [a.yaml]\npatches: [{target: {kind: ConfigMap}, patch: '[{\"op\": \"replace\", \"path\": \"\", \"value\": {\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"b\"}}}]'}]\n", "a.yaml": configMap},
		"marks copied":                  {"kustomization.yaml": aSecret + "patches: [{target: {kind: Secret}, patch: '[{\"op\": \"copy\", \"from\": \"/metadata/annotations\", \"path\": \"/x\"}]'}]\n"},
		"an error":                      {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": "apiVersion: v1\nkind: ConfigMap\n"},
	} {
		once, all := builtOnce(t, files)
		if once != nil {
			t.Errorf("%s: it is used: %v %v", name, once.Objects, once.Error)
		}
		if (all.Error != nil) != (name == "an error") {
			t.Errorf("%s: %v", name, all.Error)
		}
	}
}
