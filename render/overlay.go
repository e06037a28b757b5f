package main

import (
	"bytes"
	"encoding/json"
	"slices"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

// overlaid are the fields that may be added to a kustomization without changing its files.
type overlaid struct {
	Namespace         string            `json:"namespace,omitempty"`
	NamePrefix        string            `json:"namePrefix,omitempty"`
	NameSuffix        string            `json:"nameSuffix,omitempty"`
	Components        []string          `json:"components,omitempty"`
	Images            []types.Image     `json:"images,omitempty"`
	Patches           []types.Patch     `json:"patches,omitempty"`
	Labels            []types.Label     `json:"labels,omitempty"`
	CommonAnnotations map[string]string `json:"commonAnnotations,omitempty"`
}

// overlay adds what is asked for to the folder's own kustomization, and with origins has kustomize say where each object comes from.
func (v *view) overlay(folder string, asked json.RawMessage, origins bool) *failure {
	file := kustomizationOf(v, folder)
	if file == "" {
		return &failure{Kind: "refused", What: "kustomization", File: folder}
	}
	content, _ := v.content(file)
	var k types.Kustomization
	if k.Unmarshal(content) != nil || k.CheckEmpty() != nil {
		return nil // the build meets it too, and has the words
	}
	if len(asked) == 0 && !origins {
		return nil
	}
	if len(asked) > 0 {
		if unfolded(asked) > mostUnfolded {
			return &failure{Kind: "limit", What: "aliases"}
		}
		var added overlaid
		decoder := json.NewDecoder(bytes.NewReader(asked))
		decoder.DisallowUnknownFields()
		if decoder.Decode(&added) != nil {
			return &failure{Kind: "protocol"}
		}
		if address := added.remote(); address != "" {
			return &failure{Kind: "remote", Text: shortened(address)}
		}
		added.onto(&k)
	}
	if origins && !slices.Contains(k.BuildMetadata, types.OriginAnnotations) {
		k.BuildMetadata = append(k.BuildMetadata, types.OriginAnnotations)
	}
	changed, err := yaml.Marshal(k)
	if err != nil {
		return &failure{Kind: "build", File: file, Text: shortened(err.Error())}
	}
	v.replaced[file] = changed
	return nil
}

func (o *overlaid) onto(k *types.Kustomization) {
	for _, each := range []struct{ to, from *string }{
		{&k.Namespace, &o.Namespace}, {&k.NamePrefix, &o.NamePrefix}, {&k.NameSuffix, &o.NameSuffix},
	} {
		if *each.from != "" {
			*each.to = *each.from
		}
	}
	k.Components = append(k.Components, o.Components...)
	k.Patches = append(k.Patches, o.Patches...)
	k.Labels = append(k.Labels, o.Labels...)
	for _, image := range o.Images {
		k.Images = slices.DeleteFunc(k.Images, func(each types.Image) bool { return each.Name == image.Name })
		k.Images = append(k.Images, image)
	}
	for name, value := range o.CommonAnnotations {
		if k.CommonAnnotations == nil {
			k.CommonAnnotations = map[string]string{}
		}
		k.CommonAnnotations[name] = value
	}
}

func (o *overlaid) remote() string {
	named := slices.Clone(o.Components)
	for _, patch := range o.Patches {
		named = append(named, patch.Path)
	}
	at := slices.IndexFunc(named, isRemote)
	if at < 0 {
		return ""
	}
	return named[at]
}
