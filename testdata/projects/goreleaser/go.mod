module github.com/example/released

go 1.22
