// gitea is Gitea as `main.go` of its repository makes it, on SQLite without C: so a Go toolchain is all that it takes to build.
package main

import (
	"os"

	"code.gitea.io/gitea/cmd"
	"code.gitea.io/gitea/modules/log"
	"code.gitea.io/gitea/modules/setting"
	_ "github.com/ncruces/go-sqlite3/driver"
	_ "github.com/ncruces/go-sqlite3/embed"
)

func main() {
	setting.EnableSQLite3 = true
	setting.SupportedDatabaseTypes = append(setting.SupportedDatabaseTypes, "sqlite3")
	_ = cmd.RunMainApp(cmd.NewMainApp(cmd.AppVersion{Version: "testbed"}), os.Args...)
	log.GetManager().Close()
}
