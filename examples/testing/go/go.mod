module example.com/remarks

go 1.22
