// Defect: it ends when Postgres is shut down, and does not wait until it is back. Breaks the property postgres-restart.

package main

import "slices"

func init() {
	passingCodes = slices.DeleteFunc(passingCodes, func(code string) bool { return code == "57" })
}
