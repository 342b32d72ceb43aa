import Foundation
import TestSupport
import Testing

/// Too little memory, too few files or threads: the program says so and leaves what there was.
struct ShortageTests {
  /// As the README lists them.
  static let documented: Set<Int32> = [0, 64, 65, 66, 69, 70, 73, 74, 78, 130]

  /// A directory with recordings and an earlier run, of which a file stands for all.
  private func place() throws -> SemgTrain {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    try FileManager.default.createDirectory(
      atPath: semgTrain.directory.file("run"), withIntermediateDirectories: false)
    try "earlier".write(
      toFile: semgTrain.directory.file("run/history.csv"), atomically: false, encoding: .utf8)
    return semgTrain
  }

  /// What holds however a training under a limit ends: a documented exit code within a minute, a
  /// sentence, and the earlier run as it was unless the training began.
  private func train(
    under limit: String, in semgTrain: SemgTrain, _ more: [String] = []
  ) throws -> SemgTrain.Outcome {
    let place = semgTrain.directory
    let outcome = try semgTrain.run(
      SemgTrain.brief + ["--device", "cpu", "--output", "run"] + more,
      shell: "\(limit); exec timeout --kill-after=1 60")
    #expect(
      Self.documented.contains(outcome.status), "\(limit): \(outcome.status) \(outcome.error)")
    if outcome.status == 0 {
      #expect(place.names(in: "run").contains("metrics.json"))
    } else {
      #expect(outcome.error.contains("error: "), "\(limit): \(outcome.error)")
      #expect(place.names(in: "run") == ["history.csv"], "\(limit): \(outcome.error)")
      #expect(place.names().filter { $0.hasPrefix("run") } == ["run"], "\(limit)")
    }
    return outcome
  }

  /// Below some limit the system's loader cannot start the program, which then has no say:
  /// `--version` tells.
  private func starts(under limit: String, in semgTrain: SemgTrain) throws -> Bool {
    let outcome = try semgTrain.run(["--version"], shell: "\(limit); exec")
    #expect([0, 69, 127].contains(outcome.status), "\(limit): \(outcome.status) \(outcome.error)")
    return outcome.status != 127
  }

  @Test func noLimitOfMemoryEndsATrainingWithoutASentence() throws {
    let semgTrain = try place()
    // Twenty, each an eighth more than the one before: 60 MB to half a gigabyte, then in plenty.
    var sizes = (0..<20).map { Int(60_000 * pow(1.12, Double($0))) }
    sizes.append(1_500_000)
    var (refused, trained) = (0, 0)
    for size in sizes where try starts(under: "ulimit -v \(size)", in: semgTrain) {
      let outcome = try train(under: "ulimit -v \(size)", in: semgTrain)
      if outcome.status == 0 {
        trained += 1
        try? FileManager.default.removeItem(atPath: semgTrain.directory.file("run"))
        try FileManager.default.moveItem(
          atPath: semgTrain.directory.file("run.1"), toPath: semgTrain.directory.file("run"))
      } else {
        refused += 1
        #expect(outcome.status == 69, "\(size): \(outcome.error)")
      }
    }
    #expect(refused > 0 && trained > 0, "\(refused) refused, \(trained) trained")
  }

  @Test func aBatchThatDoesNotFitNamesOneThatDoes() throws {
    let semgTrain = try SemgTrain()
    // Windows enough for a batch of 4,096.
    _ = try SmallRecordings(in: semgTrain.directory, samples: 14_000)
    let limit = "ulimit -v 1000000"
    let large = SemgTrain.brief + ["--device", "cpu", "--output", "run", "--max-minutes", "0.001"]
    let refused = try semgTrain.run(
      large + ["--batch-size", "4096"], shell: "\(limit); exec timeout 60")
    #expect(refused.status == 69, "\(refused.error)")
    #expect(refused.error.contains("training has no room for"), "\(refused.error)")
    #expect(refused.error.contains("ulimit -v leaves"), "\(refused.error)")
    #expect(!semgTrain.directory.exists("run"))
    let advice = try #require(refused.error.firstMatch(of: /--batch-size ([0-9]+) fits/))
    let fits = try semgTrain.run(
      large + ["--batch-size", String(advice.1)], shell: "\(limit); exec timeout 120")
    #expect(fits.status == 0, "\(advice.1): \(fits.error)")
  }

  /// 60 million lines of eight channels would be 4 GB of samples.
  @Test func aFileOfLineFeedsIsReadInLittleMemory() throws {
    let semgTrain = try SemgTrain()
    try Data("1,2,3,4,5,6,7,8\n".utf8 + Array(repeating: 0x0A, count: 60_000_000)).write(
      to: URL(filePath: semgTrain.directory.file("gesture0.csv")))
    let outcome = try semgTrain.run(
      ["inspect", "gesture0.csv"], shell: "ulimit -v 1500000; exec timeout 60")
    #expect(outcome.status == 0, "\(outcome.status) \(outcome.error)")
    #expect(outcome.output.contains("1 sample,"), "\(outcome.output)")
    #expect(!outcome.error.contains("memory"), "\(outcome.error)")
  }

  @Test(.enabled(if: ProcessInfo.processInfo.activeProcessorCount > 1, "one processor"))
  func threadsThatOpenMPDoesNotStartAreSaid() throws {
    let semgTrain = try SemgTrain()
    let arguments = [
      "benchmark", "--device", "cpu", "--models", "semg-net", "--steps", "1", "--batch-size", "2",
      "--threads", "2",
    ]
    let limited = try semgTrain.run(arguments, environment: ["OMP_THREAD_LIMIT": "1"])
    #expect(limited.status == 0, "\(limited.error)")
    let said = limited.error.split(separator: "\n").filter { $0.contains("OpenMP") }
    #expect(said.count == 1, "\(limited.error)")
    #expect(said.first?.contains("starts 1 of 2 threads") == true, "\(limited.error)")
    let usual = try semgTrain.run(arguments)
    #expect(!usual.error.contains("OpenMP"), "\(usual.error)")
    // No drivers: the CPU alone is listed.
    var environment = ["OCL_ICD_VENDORS": semgTrain.directory.path]
    let all = try semgTrain("devices", "--threads", "2", environment: environment)
    #expect(all.output.contains(", 2 threads, "), "\(all.output)")
    environment["OMP_THREAD_LIMIT"] = "1"
    let one = try semgTrain("devices", "--threads", "2", environment: environment)
    #expect(one.output.contains(", 1 of 2 threads, "), "\(one.output)")
  }

  @Test(arguments: [3, 4, 5, 6, 8, 10, 13, 16, 20, 24, 28, 32, 40, 64])
  func fewOpenFilesAreSaid(files: Int) throws {
    let semgTrain = try place()
    let limit = "ulimit -n \(files)"
    guard try starts(under: limit, in: semgTrain) else {
      #expect(files <= 3, "\(files)")
      return
    }
    let outcome = try train(under: limit, in: semgTrain)
    #expect(outcome.status == 0 || outcome.error.contains("ulimit -n"), "\(outcome.error)")
    #expect(outcome.status == 0 || files < 64, "\(outcome.error)")
  }

  /// Somebody whose processes are counted: those of root are not.
  private static let nobody =
    getuid() == 0 ? "setpriv --reuid=\(54_000 + getpid() % 1_000) --clear-groups" : ""

  @Test(arguments: [1, 2, 3, 5, 8])
  func fewThreadsAreSaid(processes: Int) throws {
    let semgTrain = try place()
    let place = semgTrain.directory
    // Where nobody may not look, the program is not found: a copy is.
    let copy = place.file("semg-train")
    try FileManager.default.copyItem(atPath: SemgTrain.binary.path, toPath: copy)
    for name in ["", "run", "semg-train"] {
      try FileManager.default.setAttributes(
        [.posixPermissions: 0o777], ofItemAtPath: place.file(name))
    }
    // A process of one's own besides those that run already.
    let others = getuid() == 0 ? "0" : "$(ps -LU $UID -o lwp= | wc -l)"
    let limit = "ulimit -u $(( \(processes) + \(others) )); shift; exec \(Self.nobody) \(copy)"
    let outcome = try semgTrain.run(
      SemgTrain.brief + ["--device", "cpu", "--output", "run"],
      shell: "exec timeout --kill-after=1 60 bash -c '\(limit) \"$@\"' bash")
    #expect(Self.documented.contains(outcome.status), "\(outcome.status) \(outcome.error)")
    #expect(outcome.status == 0 || outcome.error.contains("ulimit -u"), "\(outcome.error)")
    #expect(outcome.status != 0 || processes > 5)
  }

  @Test func moreThreadsThanProcessorsAreCapped() throws {
    let semgTrain = try place()
    let outcome = try semgTrain.run(
      ["benchmark", "--device", "cpu", "--models", "semg-net", "--steps", "1", "--batch-size", "2"]
        + ["--threads", "1000"])
    #expect(outcome.status == 0, "\(outcome.error)")
    let processors = ProcessInfo.processInfo.activeProcessorCount
    #expect(
      outcome.error.contains("--threads 1000 is more than this machine's processors; taken: "))
    #expect(outcome.error.contains("taken: \(processors)"), "\(outcome.error)")
  }
}
