package main

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/openapi"
)

const (
	deepestObject = 150
	// largestObject is more than an API server takes in one request.
	largestObject = 4 << 20
)

// ownSchema is what the library calls its schema as long as no kustomization, however it spells the field, has brought one.
var ownSchema = openapi.GetSchemaVersion()

type kustomizeRequest struct {
	Tree string `json:"tree"`
	// Path of the folder with the kustomization, from the repository's root.
	Path string `json:"path"`
	// Overlay has fields of a kustomization that are added to that of the folder, as Flux does.
	Overlay json.RawMessage `json:"overlay,omitempty"`
	// Replaced are files with another content for this build; what is wrong with them is said of those of the tree.
	Replaced map[string]string `json:"replaced,omitempty"`
	// Origins says that each object's file is asked for: see marks.
	Origins     bool `json:"origins,omitempty"`
	OutputBytes int  `json:"outputBytes"`
	Objects     int  `json:"objects"`
}

func kustomize(of *tree, asked *kustomizeRequest) answer {
	if asked.Origins {
		v := newView(of, asked.Replaced)
		v.marks = newMarks()
		if given := v.built(asked); given != nil {
			return *given
		}
	}
	return *newView(of, asked.Replaced).built(asked)
}

// built is the answer; nil where marks might have changed it, or do not say where each object comes from. Errors are always those of a
// build without marks.
func (v *view) built(asked *kustomizeRequest) (given *answer) {
	defer func() {
		if given != nil {
			given.Read, given.LookedFor = v.paths()
		}
	}()
	folder := relative(asked.Path)
	if problem := v.overlay(folder, asked.Overlay, false); problem != nil {
		return &answer{Error: problem}
	}
	built, err := v.run(folder)
	if v.guard.refusal != nil {
		return &answer{Error: v.guard.refusal}
	}
	if err != nil && v.marks == nil {
		return &answer{Error: v.explain(err)}
	}
	if err != nil {
		return nil
	}
	origins := v.originsOf(built, asked)
	if origins == nil {
		return nil
	}
	objects, problem := marshalled(built, origins, asked)
	if problem != nil {
		return &answer{Error: problem}
	}
	if v.marks != nil && slices.ContainsFunc(objects, func(each object) bool { return isLeft(each.Object) }) {
		return nil
	}
	return &answer{Objects: objects}
}

// originsOf are the objects' files, or empty texts; nil where marks were there to say them, and do not.
func (v *view) originsOf(built resmap.ResMap, asked *kustomizeRequest) []string {
	if v.marks != nil {
		return v.marks.taken(built)
	}
	if asked.Origins {
		// A build of its own: patches and replacements meet kustomize's annotations, and objects must not depend on them.
		annotated, folder := newView(v.tree, asked.Replaced), relative(asked.Path)
		if annotated.overlay(folder, asked.Overlay, true) == nil {
			if again, err := annotated.run(folder); err == nil && again.Size() == built.Size() {
				return annotatedOrigins(again, folder)
			}
		}
	}
	return make([]string, built.Size())
}

func (v *view) run(folder string) (resmap.ResMap, error) {
	network.asked = ""
	defer func() {
		if openapi.GetSchemaVersion() != ownSchema { // the library keeps it for all builds of this process
			openapi.ResetOpenAPI()
		}
	}()
	options := &krusty.Options{
		Reorder: krusty.ReorderOptionUnspecified, // the order of the CLI
		// There is no other file than the repository's.
		LoadRestrictions: types.LoadRestrictionsNone,
		PluginConfig:     types.DisabledPluginConfig(),
	}
	return krusty.MakeKustomizer(options).Run(v, "/"+folder)
}

func marshalled(built resmap.ResMap, origins []string, asked *kustomizeRequest) ([]object, *failure) {
	if built.Size() > asked.Objects {
		return nil, &failure{Kind: "limit", What: "objects"}
	}
	objects := make([]object, 0, built.Size())
	size := 0
	for number, each := range built.Resources() {
		text, err := each.MarshalJSON()
		if err != nil {
			return nil, &failure{Kind: "build", Text: shortened(err.Error())}
		}
		if len(text) > largestObject {
			return nil, &failure{Kind: "limit", What: "object", File: origins[number]}
		}
		if size += len(text); size > asked.OutputBytes {
			return nil, &failure{Kind: "limit", What: "output"}
		}
		if depth(text) > deepestObject {
			return nil, &failure{Kind: "limit", What: "depth", File: origins[number]}
		}
		objects = append(objects, object{File: origins[number], Object: text})
	}
	return objects, nil
}

func depth(text []byte) int {
	deepest, now, quoted := 0, 0, false
	for at := 0; at < len(text); at++ {
		switch character := text[at]; {
		case quoted && character == '\\':
			at++
		case character == '"':
			quoted = !quoted
		case quoted:
		case character == '{' || character == '[':
			now++
			deepest = max(deepest, now)
		case character == '}' || character == ']':
			now--
		}
	}
	return deepest
}

// annotatedOrigins are the files of objects, from the repository's root, as kustomize's annotation has them.
func annotatedOrigins(built resmap.ResMap, folder string) []string {
	found := make([]string, built.Size())
	for number, each := range built.Resources() {
		origin, err := each.GetOrigin()
		if err != nil || origin == nil {
			continue
		}
		if file := origin.Path + origin.ConfiguredIn; file != "" {
			found[number] = relative(path.Join(folder, file))
		}
	}
	return found
}

// address is of memory: an error that has one would be another error each time.
var address = regexp.MustCompile(`0x[0-9a-f]{6,}`)

var external = regexp.MustCompile(`unable to load external plugin '?([^'\s]+)'?`)

// explain is kustomize's error with a place, where one can be found.
func (v *view) explain(err error) *failure {
	text := err.Error()
	if network.asked != "" {
		file, line := v.locate(network.asked)
		return &failure{Kind: "remote", File: file, Line: line, Text: shortened(network.asked)}
	}
	if strings.Contains(text, "--enable-helm") {
		file, line := v.locate("HelmChartInflationGenerator")
		return &failure{Kind: "refused", What: "helm", File: file, Line: line}
	}
	if found := external.FindStringSubmatch(text); found != nil {
		file, line := v.locate("kind: " + found[1])
		what := "plugin"
		if content, _ := v.content(file); strings.Contains(string(content), "config.kubernetes.io/function") {
			what = "function"
		}
		return &failure{Kind: "refused", What: what, File: file, Line: line, Text: shortened(found[1])}
	}
	given := &failure{Kind: "build", Text: shortened(address.ReplaceAllString(text, "0x…"))}
	if reference := v.guard.missing(v, text); reference != nil {
		given.What, given.Text = "missing", shortened(reference.text)
		given.File, given.Line, given.Column = reference.file, reference.line, reference.column
	}
	return given
}

func kustomizationOf(v *view, folder string) string {
	names := konfig.RecognizedKustomizationFileNames()
	at := slices.IndexFunc(names, func(name string) bool { return v.isFile(path.Join(folder, name)) })
	if at < 0 {
		return ""
	}
	return path.Join(folder, names[at])
}
