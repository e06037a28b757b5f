package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

// markKey is a field that no file has.
var markKey = "signet-origin-" + rand.Text()

var (
	errUnsure = errors.New("the objects of this build may depend on marks")
	// begins is a line of a block mapping that stands at the left.
	begins = regexp.MustCompile(`^[A-Za-z][\w.-]*:(?:[ \t\r]|$)`)
	// several is a kind whose objects kustomize takes out of it, without the mark.
	several = regexp.MustCompile(`kind["']?\s*:\s*["']?\w*List\b`)
	// spelled is what a text may have that stands for other characters than it shows.
	spelled = regexp.MustCompile(`\\[xuU\r\n]|!<|!!binary|(?m:^%TAG)`)
)

// marks are how one build says which file each object comes from. What is read as a resource gets a field more, and what a kustomization
// generates an annotation more, since it has annotations of kustomize's anyway. Where a build might see the difference, it is unsure.
type marks struct {
	files     []string
	resources map[string]bool
	// others are files that kustomizations name as anything but a resource.
	others map[string]bool
	marked map[string]bool
	unsure bool
}

func newMarks() *marks {
	return &marks{resources: map[string]bool{}, others: map[string]bool{}, marked: map[string]bool{}}
}

// content is what a build reads in place of a file's. After errUnsure no other build with marks will do.
func (m *marks) content(file string, content []byte) ([]byte, error) {
	if slices.Contains(konfig.RecognizedKustomizationFileNames(), path.Base(file)) {
		content = m.kustomization(file, content)
	} else if m.resources[file] {
		m.unsure = m.unsure || m.others[file] || several.Match(content)
		m.marked[file] = true
		content = m.documents(content, m.number(file))
	}
	// By this annotation an object of any kind gets a hash over all that is in it. Its name may be spelled with escapes or in base64.
	m.unsure = m.unsure || bytes.Contains(content, []byte("needsHashSuffix")) || spelled.Match(content)
	if m.unsure {
		return nil, errUnsure
	}
	return content, nil
}

func (m *marks) number(file string) string {
	at := slices.Index(m.files, file)
	if at < 0 {
		at = len(m.files)
		m.files = append(m.files, file)
	}
	return strconv.Itoa(at)
}

// kustomization notes what the files that it names are for, and has what it generates annotated.
func (m *marks) kustomization(file string, content []byte) []byte {
	var k types.Kustomization
	if k.Unmarshal(content) != nil {
		return content // the build fails
	}
	m.unsure = m.unsure || len(k.Generators)+len(k.Transformers)+len(k.Validators) > 0 // which may read any file
	at := func(name string) string { return relative(path.Join(path.Dir(file), name)) }
	for _, each := range append(k.Resources, k.Bases...) {
		m.resources[at(each)] = true
	}
	for _, each := range named(&k) {
		m.others[at(each)] = true
		m.unsure = m.unsure || m.marked[at(each)]
	}
	generators := generatorsOf(&k)
	created := false
	for _, each := range generators {
		// What is merged onto another object keeps that one's mark.
		if types.NewGenerationBehavior(each.Behavior) != types.BehaviorMerge {
			if each.Options == nil {
				each.Options = &types.GeneratorOptions{}
			}
			if each.Options.Annotations == nil {
				each.Options.Annotations = map[string]string{}
			}
			each.Options.Annotations[markKey] = m.number(file)
			created = true
		}
	}
	if created {
		if changed, err := yaml.Marshal(k); err == nil {
			return changed
		}
	}
	return content
}

func generatorsOf(k *types.Kustomization) (found []*types.GeneratorArgs) {
	for at := range k.ConfigMapGenerator {
		found = append(found, &k.ConfigMapGenerator[at].GeneratorArgs)
	}
	for at := range k.SecretGenerator {
		found = append(found, &k.SecretGenerator[at].GeneratorArgs)
	}
	return found
}

// named are the files that a kustomization names, other than its resources.
func named(k *types.Kustomization) []string {
	found := slices.Concat(k.Crds, k.Configurations, []string{k.OpenAPI["path"]})
	for _, each := range append(k.Patches, k.PatchesJson6902...) {
		found = append(found, each.Path)
	}
	for _, each := range k.PatchesStrategicMerge {
		found = append(found, string(each))
	}
	for _, each := range k.Replacements {
		found = append(found, each.Path)
	}
	for _, each := range generatorsOf(k) {
		found = append(append(found, each.EnvSources...), each.EnvSource)
		for _, source := range each.FileSources {
			_, name, isKeyed := strings.Cut(source, "=")
			if !isKeyed {
				name = source
			}
			found = append(found, name)
		}
	}
	return found
}

// documents are those of a file with a field more each, where one can be added without reading the document. Those of kustomize begin
// after a line that begins with three dashes.
func (m *marks) documents(content []byte, number string) []byte {
	made := make([]byte, 0, len(content)+256)
	waiting := true
	for line := range bytes.Lines(content) {
		switch {
		case bytes.HasPrefix(line, []byte("---")):
			waiting = true
		case !waiting || len(bytes.TrimSpace(line)) == 0 || bytes.TrimSpace(line)[0] == '#':
		case begins.Match(line):
			made = append(made, markKey+": "+number+"\n"...)
			waiting = false
		case line[0] == '{':
			made = append(made, `{"`+markKey+`": `+number+", "...)
			line = line[1:]
			waiting = false
		default:
			waiting = false
		}
		made = append(made, line...)
	}
	return made
}

// taken are the files of all objects, whose marks are gone then; nil where one has none, or more than that.
func (m *marks) taken(built resmap.ResMap) []string {
	found := make([]string, 0, built.Size())
	for _, each := range built.Resources() {
		of := append(field(each), annotation(each)...)
		if len(of) != 1 {
			return nil
		}
		at, err := strconv.Atoi(of[0])
		if err != nil || at < 0 || at >= len(m.files) {
			return nil
		}
		found = append(found, m.files[at])
	}
	return found
}

func field(of *resource.Resource) []string {
	node := of.YNode()
	for at := 0; at+1 < len(node.Content); at += 2 {
		if node.Content[at].Value == markKey {
			value := node.Content[at+1].Value
			node.Content = slices.Delete(node.Content, at, at+2)
			return []string{value}
		}
	}
	return nil
}

func annotation(of *resource.Resource) []string {
	annotations := of.GetAnnotations(markKey)
	value, ok := annotations[markKey]
	if !ok {
		return nil
	}
	annotations = of.GetAnnotations()
	delete(annotations, markKey)
	if of.SetAnnotations(annotations) != nil { // as kustomize takes its own away
		return nil
	}
	return []string{value}
}

// isLeft says whether a mark is somewhere in an object that has lost its own.
func isLeft(text []byte) bool { return bytes.Contains(text, []byte(markKey)) }
