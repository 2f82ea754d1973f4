require_relative "lib/rgreeter/version"

Gem::Specification.new do |spec|
  spec.name = "rgreeter"
  spec.version = Rgreeter::VERSION
  spec.authors = ["Jane Doe"]
  spec.email = ["jane@example.org"]
  spec.summary = "Greets from Ruby"
  spec.homepage = "https://example.org/rb"
  spec.license = "MIT"
  spec.executables = ["rgreeter"]
end
