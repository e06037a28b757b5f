package main

import (
	"strconv"
	"text/template/parse"
)

// What rewritten templates call beside the functions of Helm. One that is written by hand is rewritten as every call is, and harmless.
const (
	seenFunction     = "signetSeen"
	truthFunction    = "signetTruth"
	templateFunction = "signetTemplate"
)

// site is a place in a template, found on demand.
type site struct {
	tree *parse.Tree
	node parse.Node
}

// rewriter changes parse trees such that every function learns its place, and that everything is seen which a template does with a value
// without a function: its truth is asked, it is printed, a loop goes round, another template is executed. What text/template does with a
// changed tree is what it does with the one that was written.
type rewriter struct {
	sites []site
	tree  *parse.Tree
	done  map[*parse.Tree]bool
}

func (w *rewriter) rewrite(tree *parse.Tree) {
	if tree == nil || tree.Root == nil || w.done[tree] {
		return
	}
	w.done[tree] = true
	outer := w.tree
	w.tree = tree
	w.list(tree.Root)
	w.tree = outer
}

func (w *rewriter) site(at parse.Node) parse.Node {
	number := int64(len(w.sites))
	w.sites = append(w.sites, site{w.tree, at})
	return &parse.NumberNode{
		NodeType: parse.NodeNumber, Pos: at.Position(), IsInt: true, Int64: number, Text: strconv.FormatInt(number, 10),
	}
}

func (w *rewriter) call(name string, at parse.Node, args ...parse.Node) *parse.CommandNode {
	called := parse.NewIdentifier(name).SetPos(at.Position()).SetTree(w.tree)
	return &parse.CommandNode{
		NodeType: parse.NodeCommand, Pos: at.Position(), Args: append([]parse.Node{called, w.site(at)}, args...),
	}
}

func piped(at parse.Node, commands ...*parse.CommandNode) *parse.PipeNode {
	return &parse.PipeNode{NodeType: parse.NodePipe, Pos: at.Position(), Cmds: commands}
}

func (w *rewriter) list(nodes *parse.ListNode) {
	if nodes == nil {
		return
	}
	for at, each := range nodes.Nodes {
		switch node := each.(type) {
		case *parse.ActionNode:
			w.pipe(node.Pipe)
			if len(node.Pipe.Decl) == 0 {
				node.Pipe.Cmds = append(node.Pipe.Cmds, w.call(seenFunction, node))
			}
		case *parse.IfNode:
			w.branch(&node.BranchNode)
		case *parse.WithNode:
			w.branch(&node.BranchNode)
		case *parse.RangeNode:
			w.pipe(node.Pipe)
			w.list(node.List)
			w.list(node.ElseList)
			turn := &parse.ActionNode{NodeType: parse.NodeAction, Pos: node.Pos, Line: node.Line, Pipe: piped(node, w.call(seenFunction, node))}
			node.List.Nodes = append([]parse.Node{turn}, node.List.Nodes...)
		case *parse.TemplateNode:
			named := &parse.StringNode{NodeType: parse.NodeString, Pos: node.Pos, Quoted: strconv.Quote(node.Name), Text: node.Name}
			args := []parse.Node{named}
			if node.Pipe != nil {
				w.pipe(node.Pipe)
				args = append(args, node.Pipe)
			}
			nodes.Nodes[at] = &parse.ActionNode{
				NodeType: parse.NodeAction, Pos: node.Pos, Line: node.Line, Pipe: piped(node, w.call(templateFunction, node, args...)),
			}
		}
	}
}

func (w *rewriter) branch(node *parse.BranchNode) {
	w.pipe(node.Pipe)
	node.Pipe.Cmds = append(node.Pipe.Cmds, w.call(truthFunction, node.Pipe))
	w.list(node.List)
	w.list(node.ElseList)
}

func (w *rewriter) pipe(node *parse.PipeNode) {
	for at, each := range node.Cmds {
		w.command(each, at > 0)
	}
}

func (w *rewriter) command(node *parse.CommandNode, isFed bool) {
	for at, each := range node.Args {
		if at > 0 {
			node.Args[at] = w.argument(each)
		} else {
			w.inner(each)
		}
	}
	called, ok := node.Args[0].(*parse.IdentifierNode)
	if !ok {
		return
	}
	if called.Ident != "and" && called.Ident != "or" {
		node.Args = append([]parse.Node{called, w.site(called)}, node.Args[1:]...)
		return
	}
	// These are the template's own, which stop early; each of their values but the last is asked for its truth.
	for at, each := range node.Args {
		if at > 0 && (isFed || at < len(node.Args)-1) {
			node.Args[at] = piped(each, w.call(truthFunction, each, each))
		}
	}
}

// argument is one where a function may stand alone, which is called there.
func (w *rewriter) argument(node parse.Node) parse.Node {
	if called, ok := node.(*parse.IdentifierNode); ok {
		alone := &parse.CommandNode{NodeType: parse.NodeCommand, Pos: node.Position(), Args: []parse.Node{called}}
		w.command(alone, false)
		return piped(node, alone)
	}
	w.inner(node)
	return node
}

func (w *rewriter) inner(node parse.Node) {
	switch node := node.(type) {
	case *parse.PipeNode:
		w.pipe(node)
	case *parse.ChainNode:
		node.Node = w.argument(node.Node)
	}
}
