// Defect: it parks records whose schema does not resolve to its own, and reads on. Breaks the property unresolvable-schema.

package main

func init() {
	errHalted = &undecodable{"payload", "the projection cannot run"}
}
