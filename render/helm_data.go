package main

import (
	"encoding/base64"
	"errors"
	"path"
	"strings"

	"github.com/gobwas/glob"
	"helm.sh/helm/v4/pkg/chart/common"
)

var (
	errMarkedName = errors.New("the name of a file is made of a sealed value")
	errMarkedFile = errors.New("a file with sealed values is taken apart: take the whole of it with .Files.Get")
)

// files is `.Files`: a map, since templates range over it.
type files map[string][]byte

func filesOf(given []*common.File) files {
	made := files{}
	for _, each := range given {
		made[each.Name] = each.Data
	}
	return made
}

// GetBytes is a file's content; empty where there is none.
func (f files) GetBytes(name string) ([]byte, error) {
	if isMarked(name) {
		return nil, errMarkedName
	}
	if found, ok := f[name]; ok {
		return found, nil
	}
	return []byte{}, nil
}

// Get is a file's text; empty where there is none.
func (f files) Get(name string) (string, error) {
	found, err := f.GetBytes(name)
	return string(found), err
}

// Glob are the files whose paths match.
func (f files) Glob(pattern string) (files, error) {
	if isMarked(pattern) {
		return nil, errMarkedName
	}
	matching, err := glob.Compile(pattern, '/')
	if err != nil {
		matching = glob.MustCompile("**")
	}
	made := files{}
	for name, content := range f {
		if matching.Match(name) {
			made[name] = content
		}
	}
	return made, nil
}

// AsConfig is the data of a ConfigMap, as YAML.
func (f files) AsConfig() (string, error) {
	return f.data(func(content []byte) string { return string(content) })
}

// AsSecrets is the data of a Secret, as YAML.
func (f files) AsSecrets() (string, error) { return f.data(base64.StdEncoding.EncodeToString) }

func (f files) data(text func([]byte) string) (string, error) {
	if f == nil {
		return "", nil
	}
	made := map[string]string{}
	for name, content := range f {
		if isMarked(string(content)) {
			return "", errMarkedFile
		}
		made[path.Base(name)] = text(content)
	}
	return orNothing(asYAML(made)), nil
}

// Lines are those of a file.
func (f files) Lines(name string) ([]string, error) {
	content, err := f.GetBytes(name)
	if err != nil || len(content) == 0 {
		return []string{}, err
	}
	if isMarked(string(content)) {
		return nil, errMarkedFile
	}
	return strings.Split(strings.TrimSuffix(string(content), "\n"), "\n"), nil
}

// chartValues is `.Values`: a map with some of the methods that Helm's has.
type chartValues map[string]any

// AsMap is the map.
func (v chartValues) AsMap() map[string]any { return v }

// YAML is its text.
func (v chartValues) YAML() (string, error) {
	if isMarkedBelow(map[string]any(v)) {
		return "", errors.New("sealed values are written as YAML: use toYaml")
	}
	text, err := asYAML(map[string]any(v))
	return text + "\n", err
}

// Table is a map within it, by names with dots between them.
func (v chartValues) Table(name string) (chartValues, error) {
	if found, ok := within(map[string]any(v), name).(map[string]any); ok && !isMarked(name) {
		return found, nil
	}
	return nil, errors.New("there is no such table among the values")
}

// capabilities is `.Capabilities`: what the cluster serves, and a note of what was asked of it.
type capabilities struct {
	KubeVersion kubeVersion
	APIVersions *apiVersions
	HelmVersion any
}

// kubeVersion has the fields of Helm's in its order, and its methods on a pointer: `{{ .Capabilities.KubeVersion }}` is the version, and what a
// function makes of the value shows all fields.
type kubeVersion struct {
	Version    string
	normalized string
	Major      string
	Minor      string
}

// String is the version without what a provider appends.
func (v *kubeVersion) String() string { return v.normalized }

// GitVersion is Version.
func (v *kubeVersion) GitVersion() string { return v.Version }

type apiVersions struct {
	served map[string]bool
	asked  map[string]bool
}

// Has says whether the cluster serves `group/version` or `group/version/Kind`.
func (v *apiVersions) Has(name string) (bool, error) {
	if isMarked(name) {
		return false, errors.New("what is asked of the cluster is made of a sealed value")
	}
	v.asked[name] = v.served[name]
	return v.served[name], nil
}
