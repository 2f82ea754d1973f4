// Package internal is no program.
package internal
