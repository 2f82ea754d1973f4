# What a formula uses of Homebrew, small enough to see that it does what Homebrew
# does. Usage: ruby formula.rb FORMULA CLASS OS CPU [ARCHIVE PREFIX]
# It prints what Homebrew would know on that system; with a folder that an archive
# was unpacked into it also installs.
require "fileutils"
require "json"
require "pathname"

OS_NAME, CPU_NAME = ARGV[2], ARGV[3]

class Pathname
  def install(*sources)
    sources.flatten.each do |source|
      mkpath
      FileUtils.mv(source.to_s, (self/File.basename(source.to_s)).to_s)
    end
  end
end

class Formula
  KNOWN = %w[desc homepage version license url sha256].freeze
  class << self
    attr_reader :known, :needs, :conflicts, :checks

    def inherited(sub)
      super
      sub.instance_eval { @known, @needs, @conflicts = {}, [], [] }
    end

    KNOWN.each { |word| define_method(word) { |value| known[word] = value.is_a?(Symbol) ? value.inspect : value } }
    def depends_on(what) = needs << what.inspect
    def conflicts_with(what, because:) = conflicts << what
    def on_macos = OS_NAME == "macos" ? yield : nil
    def on_linux = OS_NAME == "linux" ? yield : nil
    def on_arm = CPU_NAME == "arm" ? yield : nil
    def on_intel = CPU_NAME == "intel" ? yield : nil
    def test(&block) = @checks = block
  end

  def prefix = Pathname(ARGV[5])
  %w[bin sbin lib libexec include share].each { |d| define_method(d) { prefix/d } }
  def etc = prefix/"ETC"
  def bash_completion = prefix/"etc/bash_completion.d"
  def zsh_completion = share/"zsh/site-functions"
  def fish_completion = share/"fish/vendor_completions.d"
  (1..8).each { |n| define_method("man#{n}") { share/"man/man#{n}" } }
  def assert_path_exists(path) = path.exist? || raise("#{path} is not there")
  def system(program, *args) = Kernel.system(program.to_s, *args) || raise("#{program} failed")
  def opoo(text) = warn(text)
end

load File.expand_path(ARGV[0])
formula = Object.const_get(ARGV[1])
out = formula.known.merge("needs" => formula.needs, "conflicts" => formula.conflicts)
out["caveats"] = formula.new.caveats if formula.method_defined?(:caveats)
if ARGV[4]
  f = formula.new
  Dir.chdir(ARGV[4]) { f.install }
  out["files"] = Dir.glob("**/*", base: ARGV[5]).select { |p| File.file?(File.join(ARGV[5], p)) }.sort
  f.instance_eval(&formula.checks)
end
puts JSON.generate(out)
