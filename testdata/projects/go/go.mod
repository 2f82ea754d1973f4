module github.com/example/greeter/v2

go 1.22
