#!/bin/sh
set -e
rm -rf /var/lib/hello
