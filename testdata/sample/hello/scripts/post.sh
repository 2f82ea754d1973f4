#!/bin/sh
set -e
mkdir -p /var/lib/hello
echo installed >> /var/lib/hello/log
