package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"
	_ "time/tzdata" // templates name time zones, and no file can be opened

	k8sversion "k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/yaml"

	charts "helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
)

type helmRequest struct {
	Tree string `json:"tree"`
	// Chart is its folder, from the repository's root.
	Chart string `json:"chart"`
	// ValuesFiles are paths in the tree, a later one above those before. Values are above all of them.
	ValuesFiles []string        `json:"valuesFiles,omitempty"`
	Values      json.RawMessage `json:"values,omitempty"`
	Name        string          `json:"name"`
	Namespace   string          `json:"namespace"`
	// KubeVersion and APIVersions are what the cluster is and serves.
	KubeVersion string   `json:"kubeVersion"`
	APIVersions []string `json:"apiVersions,omitempty"`
	// Known are placeholders of texts that are not empty.
	Known []string `json:"known,omitempty"`
	// Now is what templates take for the time, in seconds since 1970.
	Now  int64 `json:"now"`
	CRDs bool  `json:"crds,omitempty"`
	// SkipHooks says whether objects that are hooks are left out; else they are among the objects.
	SkipHooks bool `json:"skipHooks,omitempty"`
	// IsUpgrade is what templates see of the release: an object of it stands already.
	IsUpgrade   bool `json:"isUpgrade,omitempty"`
	OutputBytes int  `json:"outputBytes"`
	Objects     int  `json:"objects"`
}

func helm(of *tree, asked *helmRequest, deadline time.Time) answer {
	folder := relative(asked.Chart)
	version, err := versionOf(asked.KubeVersion)
	if err != nil {
		return answer{Error: &failure{Kind: "protocol"}}
	}
	loaded, problem := chartOf(of, folder)
	if problem != nil {
		return answer{Error: problem}
	}
	given, problem := valuesOf(of, asked)
	if problem == nil {
		problem = installable(loaded, given, version)
	}
	if problem == nil {
		given, problem = coalesced(loaded, given)
	}
	if problem != nil {
		return answer{Error: inTree(problem, loaded, folder)}
	}
	served := &apiVersions{served: map[string]bool{}, asked: map[string]bool{}}
	for _, each := range asked.APIVersions {
		served.served[each] = true
	}
	r := newRendering(time.Unix(asked.Now, 0).UTC(), deadline, asked.Known)
	made := &charted{
		r: r, asked: asked, folder: folder, root: loaded.Name(), templates: map[string]string{}, data: map[string]map[string]any{},
	}
	made.collect(loaded, map[string]any{
		"Values":       chartValues(given),
		"Capabilities": &capabilities{KubeVersion: version, APIVersions: served, HelmVersion: common.DefaultCapabilities.HelmVersion},
		"Release": map[string]any{
			"Name": asked.Name, "Namespace": asked.Namespace, "IsUpgrade": asked.IsUpgrade, "IsInstall": !asked.IsUpgrade, "Revision": 1, "Service": "Helm",
		},
	})
	found := made.rendered(loaded)
	found.Asked, found.Clock, found.Release = served.asked, r.clock, made.asksOfRelease()
	if found.Error != nil {
		return answer{Error: inTree(found.Error, loaded, folder), Asked: served.asked, Clock: r.clock, Release: found.Release}
	}
	found.Expressions, found.Questions = map[string][]string{}, r.questions
	for placeholder, each := range r.expressions {
		found.Expressions[placeholder] = append([]string{each.op}, each.args...)
	}
	for at, each := range found.Questions {
		found.Questions[at].File = pathInTree(each.File, loaded, folder)
	}
	for placeholder, each := range r.made {
		each.File = pathInTree(each.File, loaded, folder)
		r.made[placeholder] = each
	}
	found.Generated = r.made
	return found
}

func versionOf(text string) (kubeVersion, error) {
	parsed, err := k8sversion.ParseGeneric(text)
	if err != nil {
		return kubeVersion{}, err
	}
	major, minor, _ := strings.Cut(parsed.String(), ".")
	minor, _, _ = strings.Cut(minor, ".")
	return kubeVersion{
		Version: "v" + strings.TrimPrefix(text, "v"), normalized: "v" + parsed.String(), Major: major, Minor: minor,
	}, nil
}

// pathInTree is the file of the repository for one that Helm names by its chart.
func pathInTree(name string, of *chart.Chart, folder string) string {
	if rest, ok := strings.CutPrefix(name, of.Name()+"/"); ok {
		return path.Join(folder, rest)
	}
	return name
}

func inTree(problem *failure, of *chart.Chart, folder string) *failure {
	if problem.File == "" {
		problem.File = path.Join(folder, "Chart.yaml")
	} else {
		problem.File = pathInTree(problem.File, of, folder)
	}
	return problem
}

// charted is a chart with its dependencies while it is rendered.
type charted struct {
	r            *rendering
	asked        *helmRequest
	folder, root string
	// templates and what they see are by their names: the path behind the chart's name.
	templates map[string]string
	data      map[string]map[string]any
}

// collect takes the templates of a chart and its dependencies, each with what it sees of the values.
func (c *charted) collect(of *chart.Chart, above map[string]any) map[string]any {
	accessor, err := charts.NewAccessor(of)
	if err != nil {
		return nil
	}
	about := accessor.MetadataAsMap()
	about["IsRoot"] = accessor.IsRoot()
	inner := map[string]any{}
	seen := map[string]any{
		"Chart": about, "Files": filesOf(of.Files), "Release": above["Release"], "Capabilities": above["Capabilities"],
		"Values": chartValues{}, "Subcharts": inner,
	}
	parents, _ := above["Values"].(chartValues)
	if accessor.IsRoot() {
		seen["Values"] = above["Values"]
	} else if own, ok := parents[of.Name()].(map[string]any); ok {
		seen["Values"] = chartValues(own)
	}
	for _, each := range of.Dependencies() {
		inner[each.Name()] = c.collect(each, seen)
	}
	for _, each := range of.Templates {
		if of.Metadata.Type == "library" && !strings.HasPrefix(path.Base(each.Name), "_") {
			continue
		}
		name := path.Join(of.ChartFullPath(), each.Name)
		c.templates[name], c.data[name] = string(each.Data), seen
		c.data[name] = map[string]any{}
		for key, value := range seen {
			c.data[name][key] = value
		}
		c.data[name]["Template"] = map[string]any{"Name": name, "BasePath": path.Join(of.ChartFullPath(), "templates")}
	}
	return seen
}

// rendered executes the templates in Helm's order, those deep in dependencies first.
func (c *charted) rendered(of *chart.Chart) answer {
	set := template.New(setName).Option("missingkey=zero").Funcs(c.r.functions)
	c.r.withTemplates(set)
	names := c.ordered()
	for _, name := range names {
		c.r.files[name] = c.data[name]
		if _, err := set.New(name).Parse(c.templates[name]); err != nil {
			return answer{Error: explained(err, name)}
		}
	}
	for _, each := range set.Templates() {
		c.r.rewrite(each.Tree)
	}
	out := &output{charted: c}
	if c.asked.CRDs {
		for _, each := range of.CRDObjects() {
			if problem := out.add(each.Filename, string(each.File.Data)); problem != nil {
				return answer{Error: problem}
			}
		}
	}
	for _, name := range names {
		if base := path.Base(name); strings.HasPrefix(base, "_") || base == "NOTES.txt" {
			continue
		}
		var text bounded
		c.r.scopes = []scope{{isFile: true, at: name}}
		if err := set.ExecuteTemplate(&text, name, c.data[name]); err != nil {
			return answer{Error: explained(err, name)}
		}
		if problem := out.add(name, strings.ReplaceAll(text.String(), noValue, "")); problem != nil {
			return answer{Error: problem}
		}
	}
	made := answer{Objects: out.objects, Skipped: out.skipped, Elsewhere: out.elsewhere}
	made.Notes, made.NotesFailed = c.notes(set, path.Join(of.ChartFullPath(), "templates", "NOTES.txt"))
	return made
}

// asksOfRelease says whether a template names what tells an installation from an upgrade.
func (c *charted) asksOfRelease() bool {
	for _, text := range c.templates {
		if strings.Contains(text, "IsInstall") || strings.Contains(text, "IsUpgrade") {
			return true
		}
	}
	return false
}

func (c *charted) ordered() []string {
	names := make([]string, 0, len(c.templates))
	for name := range c.templates {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if byDepth := strings.Count(b, "/") - strings.Count(a, "/"); byDepth != 0 {
			return byDepth
		}
		return strings.Compare(b, a)
	})
	return names
}

var (
	placeOf = regexp.MustCompile(`template: ([^\s:]+):(\d+)(?::(\d+))?:`)
	said    = regexp.MustCompile(`(?s)^.*: executing ".*?" at <.*?>: (?:error calling \w+: )*`)
)

// explained is an error of templates with the innermost place in a file.
func explained(err error, name string) *failure {
	var ours *refusal
	if errors.As(err, &ours) {
		return &ours.failure
	}
	if errors.Is(err, errLong) {
		return &failure{Kind: "limit", What: "result", File: name}
	}
	text := err.Error()
	made := &failure{Kind: "template", File: name, Text: shortened(withoutPlaceholders(said.ReplaceAllString(text, "")))}
	for _, each := range placeOf.FindAllStringSubmatch(text, -1) {
		if each[1] != setName {
			made.File, made.Line = placed(each[1] + ":" + each[2] + ":0")
		}
	}
	return made
}

// output is what templates gave, as objects.
type output struct {
	*charted
	objects []object
	// skipped are files of hooks for installing and upgrading, elsewhere those of other hooks.
	skipped, elsewhere []string
	size               int
}

var separator = regexp.MustCompile(`(?m)^---[ \t]*`)

func (o *output) add(name, text string) *failure {
	if o.size += len(text); o.size > o.asked.OutputBytes {
		return &failure{Kind: "limit", What: "output", File: name}
	}
	for _, each := range separator.Split(text, -1) {
		if strings.TrimSpace(each) == "" {
			continue
		}
		if unfolded([]byte(each)) > mostUnfolded {
			return &failure{Kind: "limit", What: "aliases", File: name}
		}
		converted, err := yaml.YAMLToJSON([]byte(each))
		if err != nil {
			return &failure{Kind: "output", File: name, Text: shortened(withoutPlaceholders(err.Error()))}
		}
		if problem := o.object(name, converted); problem != nil {
			return problem
		}
	}
	return nil
}

func (o *output) object(name string, text []byte) *failure {
	if string(text) == "null" || string(text) == "{}" {
		return nil
	}
	var head struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Name        string         `json:"name"`
			Annotations map[string]any `json:"annotations"`
		} `json:"metadata"`
	}
	if text[0] != '{' {
		return &failure{Kind: "output", What: "no object", File: name}
	}
	_ = json.Unmarshal(text, &head) // what has another form is the agent's to judge
	switch file := pathInFolder(name, o.root, o.folder); {
	case !isHook(head.Metadata.Annotations):
	case isElsewhere(head.Metadata.Annotations):
		o.elsewhere = append(o.elsewhere, file)
		return nil
	case o.asked.SkipHooks:
		o.skipped = append(o.skipped, file)
		return nil
	}
	switch {
	case len(text) > largestObject:
		return &failure{Kind: "limit", What: "object", File: name}
	case depth(text) > deepestObject:
		return &failure{Kind: "limit", What: "depth", File: name}
	case len(o.objects) == o.asked.Objects:
		return &failure{Kind: "limit", What: "objects", File: name}
	}
	o.objects = append(o.objects, object{File: pathInFolder(name, o.root, o.folder), Object: text})
	return nil
}

func pathInFolder(name, root, folder string) string {
	if rest, ok := strings.CutPrefix(name, root+"/"); ok {
		return path.Join(folder, rest)
	}
	return name
}

// entry is a file or folder of a tree, as .helmignore's rules want to see it.
type entry struct {
	fs.FileInfo
	name     string
	isFolder bool
}

func (e entry) Name() string { return path.Base(e.name) }

func (e entry) IsDir() bool { return e.isFolder }
