package main

import (
	"bytes"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"
	plain "sigs.k8s.io/yaml"
)

// reference is a scalar of a kustomization that names a file or a folder.
type reference struct {
	file         string
	line, column int
	text         string
}

// guard refuses what a kustomization asks of the world before kustomize is asked for it, with file and line.
type guard struct {
	refusal    *failure
	references []reference
	// environments are .env files that a generator names.
	environments map[string]bool
}

// refuse remembers the first refusal: kustomize goes on after some errors, and words others in its own way.
func (g *guard) refuse(problem *failure) *failure {
	if g.refusal == nil {
		g.refusal = problem
	}
	return problem
}

func (g *guard) check(v *view, file string, content []byte) *failure {
	if g.environments[file] {
		if line := lineWithoutValue(content); line > 0 {
			return &failure{Kind: "refused", What: "env", File: file, Line: line}
		}
	}
	if unfolded(content) > mostUnfolded {
		return &failure{Kind: "limit", What: "aliases", File: file, Line: 1}
	}
	if !slices.Contains(konfig.RecognizedKustomizationFileNames(), path.Base(file)) {
		return nil
	}
	var document yaml.Node
	if yaml.Unmarshal(content, &document) != nil || len(document.Content) == 0 {
		return nil // kustomize says what is wrong with it
	}
	if problem := g.fields(v, file, document.Content[0]); problem != nil {
		return problem
	}
	known := len(g.references)
	problem := g.fields(v, file, asRead(content))
	g.references = g.references[:known] // these have no place
	return problem
}

// asRead is a kustomization in kustomize's own words: it takes names in any case, twice, and by a merge key.
func asRead(content []byte) *yaml.Node {
	var k types.Kustomization
	if k.Unmarshal(content) != nil {
		return nil
	}
	written, err := plain.Marshal(k)
	var document yaml.Node
	if err != nil || yaml.Unmarshal(written, &document) != nil || len(document.Content) == 0 {
		return nil
	}
	for waiting := []*yaml.Node{&document}; len(waiting) > 0; {
		each := waiting[len(waiting)-1]
		each.Line, each.Column = 0, 0
		waiting = append(waiting[:len(waiting)-1], each.Content...)
	}
	return document.Content[0]
}

func (g *guard) fields(v *view, file string, root *yaml.Node) *failure {
	for _, name := range []string{"helmCharts", "helmChartInflationGenerator"} {
		if found := member(root, name); found != nil && len(found.Content) > 0 {
			return &failure{Kind: "refused", What: "helm", File: file, Line: found.Content[0].Line, Column: found.Content[0].Column}
		}
	}
	for _, scalar := range paths(root) {
		g.references = append(g.references, reference{file, scalar.Line, scalar.Column, scalar.Value})
		if isRemote(scalar.Value) && !v.isFile(path.Join(path.Dir(file), scalar.Value)) {
			return &failure{Kind: "remote", File: file, Line: scalar.Line, Column: scalar.Column, Text: shortened(scalar.Value)}
		}
	}
	for _, scalar := range generated(root, "envs", "env") {
		if g.environments == nil {
			g.environments = map[string]bool{}
		}
		g.environments[relative(path.Join(path.Dir(file), scalar.Value))] = true
	}
	return nil
}

// missing is the newest reference in an error's text to what is not there.
func (g *guard) missing(v *view, text string) *reference {
	for _, each := range slices.Backward(g.references) {
		_, name, isKeyed := strings.Cut(each.text, "=")
		if !isKeyed {
			name = each.text
		}
		at := relative(path.Join(path.Dir(each.file), name))
		if v.lookedFor[at] && !v.tree.folders[at] && strings.Contains(text, path.Base(at)) {
			return &each
		}
	}
	return nil
}

var lists = []string{"resources", "bases", "components", "crds", "configurations", "generators", "transformers", "validators", "patchesStrategicMerge"}

// paths are the scalars of a kustomization that name files or folders. Some may be manifests written in place: those have several lines.
func paths(root *yaml.Node) (found []*yaml.Node) {
	for _, name := range lists {
		found = append(found, scalars(member(root, name))...)
	}
	for _, name := range []string{"patches", "patchesJson6902", "replacements"} {
		for _, each := range elements(member(root, name)) {
			found = append(found, scalars(member(each, "path"))...)
		}
	}
	found = append(found, scalars(member(member(root, "openapi"), "path"))...)
	found = append(found, generated(root, "files", "envs", "env")...)
	return slices.DeleteFunc(found, func(each *yaml.Node) bool { return strings.Contains(each.Value, "\n") })
}

func generated(root *yaml.Node, names ...string) (found []*yaml.Node) {
	for _, generator := range []string{"configMapGenerator", "secretGenerator"} {
		for _, each := range elements(member(root, generator)) {
			for _, name := range names {
				found = append(found, scalars(member(each, name))...)
			}
		}
	}
	return found
}

func member(node *yaml.Node, name string) *yaml.Node {
	if node = behindAlias(node); node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for at := 0; at+1 < len(node.Content); at += 2 {
		if node.Content[at].Value == name {
			return behindAlias(node.Content[at+1])
		}
	}
	return nil
}

func elements(node *yaml.Node) []*yaml.Node {
	if node = behindAlias(node); node == nil || node.Kind != yaml.SequenceNode {
		return nil
	}
	return node.Content
}

func scalars(node *yaml.Node) []*yaml.Node {
	if node = behindAlias(node); node != nil && node.Kind == yaml.ScalarNode {
		return []*yaml.Node{node}
	}
	var found []*yaml.Node
	for _, each := range elements(node) {
		if each = behindAlias(each); each != nil && each.Kind == yaml.ScalarNode {
			found = append(found, each)
		}
	}
	return found
}

func behindAlias(node *yaml.Node) *yaml.Node {
	if node != nil && node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// remote is every address that kustomize fetches, and some more: it knows https, http, ssh and file, user@host:path and github.com.
var remote = regexp.MustCompile(`(?i)^(?:[\w./-]+=)?(?:git::|[a-z][a-z0-9+.-]*://|[^/\s]*@|(?:www\.)?github\.com[:/])`)

func isRemote(text string) bool { return remote.MatchString(text) }

// lineWithoutValue is the first line of an .env file without `=`: other builds take such a value from their environment.
func lineWithoutValue(content []byte) int {
	for number, line := range bytes.Split(bytes.TrimPrefix(content, []byte("\ufeff")), []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' && !bytes.ContainsRune(line, '=') {
			return number + 1
		}
	}
	return 0
}

// locate is where a text stands first in the files that were read: for what kustomize refuses without saying where.
func (v *view) locate(text string) (file string, line int) {
	read, _ := v.paths()
	for _, name := range read {
		content := v.tree.files[name] // as it was written, whatever was added to it
		if at := bytes.Index(content, []byte(text)); at >= 0 {
			return name, bytes.Count(content[:at], []byte("\n")) + 1
		}
	}
	return "", 0
}

// transport stands in for the network in all that uses Go's own client.
type transport struct{ asked string }

var network transport

func refuseNetwork() { http.DefaultTransport = &network }

func (t *transport) RoundTrip(asked *http.Request) (*http.Response, error) {
	t.asked = asked.URL.String()
	return nil, &failure{Kind: "remote"}
}
