import Foundation
import TestSupport
import Testing

@testable import SEMGTrain

/// Wrong usage, as a user meets it: the exit code, and a sentence with the nearest right thing.
struct UsageTests {
  struct Mistake: CustomTestStringConvertible {
    let arguments: [String]
    let status: Int32
    let says: [String]

    init(_ line: String, _ status: Int32, _ says: String...) {
      arguments = line.split(separator: " ").map(String.init)
      self.status = status
      self.says = says
    }

    var testDescription: String { arguments.joined(separator: " ") }
  }

  static let mistakes = [
    Mistake("--epoch 3", 64, "--epoch is not an option of train", "Did you mean --epochs?"),
    Mistake("-epochs 3", 64, "-epochs is not an option", "Did you mean --epochs?"),
    Mistake("--bogus", 64, "--bogus is not an option of train"),
    Mistake("split --epochs 3", 64, "--epochs is an option of train, not of split"),
    Mistake("trian", 64, "trian is not a command", "Did you mean semg-train train?"),
    Mistake(
      "help evalute", 64, "evalute is not a command", "Did you mean semg-train help evaluate?"),
    Mistake("help export", 64, "export is not a command"),
    Mistake("--json split", 64, "the command comes first: semg-train split"),
    Mistake("epochs 3", 64, "epochs is not a command"),
    Mistake("train epochs 3", 64, "Did you mean --epochs?"),
    Mistake("/tmp", 64, "semg-train --data /tmp"),
    Mistake("export", 64, "export is not a command"),
    Mistake("tune --device cpu", 64, "tune chooses kernels for a GPU"),
    Mistake("parity --batch-size 0", 64, "expected a whole number"),
    Mistake("parity --epochs 3", 64, "not of parity"),
    Mistake("parity --device cpu --precision fp16", 78, "--device gpu"),
    Mistake("parity", 69, "--device cpu"),
    Mistake("--resume", 64, "--resume is not an option of train"),
    Mistake("--precision bf16", 64, "expected auto, fp32 or fp16"),
    Mistake("--recipe publised", 64, "expected standard or published", "Did you mean published?"),
    Mistake("--models inceptin-se", 64, "Did you mean inception-se?"),
    Mistake("--models semg-net,semg-net", 64, "at most once"),
    Mistake("--padding casual", 64, "Did you mean causal?"),
    Mistake("--device cuda", 64, "Did you mean gpu?"),
    Mistake("--epochs sixty", 64, "--epochs", "expected a whole number"),
    Mistake("--epochs 0", 64, "expected a whole number"),
    Mistake("--max-minutes -1", 64, "not below 0"),
    Mistake("--epochs --json", 64, "--epochs needs a value"),
    Mistake("--class-weights 1,x", 64, "expected decimal numbers"),
    Mistake("--class-weights 1e-38,1", 64, "from 1e-6 to 1e6"),
    Mistake("--class-weights 1e-7,1", 64, "from 1e-6 to 1e6"),
    Mistake("--class-weights 1,1e7", 64, "from 1e-6 to 1e6"),
    Mistake("--class-weights 1,-1", 64, "none below 0"),
    Mistake("--class-weights 0,0", 64, "not all 0"),
    Mistake("--class-weights 1,0", 64, "above 0"),
    Mistake("--class-weights 1,inf", 64, "expected decimal numbers"),
    Mistake("--class-weights 1,1e400", 64, "expected decimal numbers"),
    Mistake("--class-weights 1,0x2", 64, "expected decimal numbers"),
    Mistake("--class-weights -1,1", 64, "none below 0"),
    Mistake("--ensemble-weights 1e308,1e308", 64, "from 1e-6 to 1e6"),
    Mistake("--ensemble-weights 1,inf", 64, "expected decimal numbers"),
    Mistake("--max-minutes 0x10", 64, "expected a decimal number above 0"),
    Mistake("--max-minutes nan", 64, "expected a decimal number above 0"),
    Mistake("--sample-rate 1e999", 64, "expected a decimal number above 0"),
    Mistake("--epochs 0x10", 64, "expected a whole number"),
    Mistake("--notch 0x32", 64, "expected a frequency in hertz"),
    Mistake("--notch infinity", 64, "expected a frequency in hertz"),
    Mistake("--channels 8-1", 64, "expected columns such as 1-8"),
    Mistake("--notch loud", 64, "hertz"),
    Mistake("evaluate --part tests", 64, "expected test, validation, train or all"),
    Mistake("predict", 64, "path"),
    Mistake("--device gpu", 69, "--device cpu"),
    Mistake("--device gpu:1", 69, "--device cpu"),
    Mistake("--precision fp16", 78, "found no GPU"),
    Mistake("--precision fp16 --device cpu", 78, "the CPU backend computes in fp32"),
    Mistake("--split x.csv --train-sessions 1", 78, "--split", "--train-sessions"),
    Mistake("--padding same --models semg-net", 78, "drop --padding"),
    Mistake("--ensemble-weights 1 ", 78, "expected 2"),
    Mistake("--sample-rate 90", 78, "--notch off"),
    Mistake("--data d --output d/out", 78, "lies in the data directory"),
    Mistake("", 66, "data: found nothing there"),
    Mistake("inspect . --channels 1-4", 64, "are for recordings, . is none"),
    Mistake("inspect x.csv --notch 50", 64, "not of inspect"),
    Mistake("inspect nothing.csv", 66, "no such file"),
    Mistake("evaluate nowhere", 66, "no such file"),
    Mistake("predict x.csv", 66, "no such file"),
    Mistake("--output /dev/null", 73, "expected a directory"),
    Mistake("--output /", 73, "is the root of all files"),
    Mistake("--output /dev/../", 73, "is the root of all files"),
    Mistake("--output /dev/null/x", 73, "/dev/null is a file"),
  ]

  @Test(arguments: mistakes)
  func mistakesAreExplainedOnStandardErrorAlone(_ mistake: Mistake) throws {
    let semgTrain = try SemgTrain()
    // No OpenCL device, whatever this machine has.
    let outcome = try semgTrain.run(
      mistake.arguments, environment: ["OCL_ICD_VENDORS": semgTrain.directory.path])
    #expect(outcome.status == mistake.status, "\(outcome.error)")
    #expect(outcome.output.isEmpty)
    for sentence in mistake.says {
      #expect(outcome.error.contains(sentence), "\(outcome.error)")
    }
    #expect(semgTrain.directory.names().filter { !$0.hasPrefix(".") }.isEmpty)
  }

  @Test func anOptionThatIsGivenTwiceIsSaid() throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    let twice = try semgTrain("split", "--seed=7", "--data", "recordings", "--seed", "8")
    #expect(twice.status == 0)
    #expect(twice.error == "warning: --seed is given twice: the last is taken\n")
    let once = try semgTrain("split", "--data", "recordings", "--seed", "8")
    #expect(once.output == twice.output && once.error.isEmpty)
  }

  @Test func pathsThatLeadNowhereGetTheNearestOne() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory.file("recordings/Session1")
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    let misspelt = try semgTrain("split", "--data", "recodings/Session1")
    #expect(misspelt.status == 66)
    #expect(misspelt.error.contains("Did you mean recordings/Session1?"))
    let empty = try semgTrain("split", "--data", "recordings")
    #expect(empty.status == 66)
    #expect(empty.error.contains("found no CSV file below it"))
  }

  @Test func aLinkThatLeadsNowhereIsNamedWithItsTarget() throws {
    let semgTrain = try SemgTrain()
    for name in ["dead", "data", "dead.csv"] {
      try FileManager.default.createSymbolicLink(
        atPath: semgTrain.directory.file(name), withDestinationPath: "gone/away")
    }
    for (line, status) in [
      ("inspect dead", 66), ("evaluate dead", 66), ("", 66), ("--data dead", 66),
      ("split --data dead", 66), ("inspect dead/x.csv", 66), ("predict dead", 66),
      ("--output dead", 73), ("--output dead/x", 73),
    ] as [(String, Int32)] {
      let outcome = try semgTrain.run(line.split(separator: " ").map(String.init))
      #expect(outcome.status == status, "\(line): \(outcome.error)")
      #expect(outcome.error.contains(" points to gone/away, where nothing is"))
      #expect(!outcome.error.contains("Did you mean"))
    }
    let recording = try semgTrain("split", "--data", ".")
    #expect(recording.status == 66)
    #expect(recording.error.contains("dead.csv: cannot be read: the link leads nowhere: gone/away"))
  }

  @Test func aSplitFileThatIsNotThereGetsTheNearestOne() throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    try "".write(
      toFile: semgTrain.directory.file("split.csv"), atomically: false, encoding: .utf8)
    let outcome = try semgTrain("split", "--data", SmallRecordings.name, "--split", "splt.csv")
    #expect(outcome.status == 66)
    #expect(outcome.error.contains("Did you mean split.csv?"))
  }

  @Test func helpAndVersionGoToStandardOutput() throws {
    let semgTrain = try SemgTrain()
    for arguments in [["--help"], ["-h"], ["help"], ["train", "--help"], ["help", "split"]] {
      let outcome = try semgTrain.run(arguments)
      #expect(outcome.status == 0)
      #expect(outcome.output.contains("USAGE: semg-train"))
      #expect(outcome.error.isEmpty)
    }
    let version = try semgTrain("--version")
    #expect(version.status == 0)
    let names = version.output.split(separator: "\n").map { $0.prefix { $0 != " " } }
    #expect(names == ["semg-train", "oneDNN", "HDF5", "libzip"])
    #expect(version.output.contains(", \(Version.confinement)\n"))
    for arguments in [["train", "--version"], ["-V"], ["evaluate", "-V"]] {
      #expect(try semgTrain.run(arguments).output == version.output)
    }
  }

  @Test func aKernelThatConfinesNoProcessIsNamedByTheVersion() {
    #expect(Version.confinement(fault: nil).contains("without access to files, network"))
    let sentence = Version.confinement(fault: "Function not implemented")
    #expect(sentence.contains("does not keep from files and network"))
    #expect(sentence.contains("seccomp: Function not implemented"))
  }

  @Test func devicesAreListedForPeopleAndForPrograms() throws {
    let semgTrain = try SemgTrain()
    let outcome = try semgTrain("devices", "--json")
    #expect(outcome.status == 0)
    let json = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
    let devices = try #require(json as? [[String: Any]])
    let keys: Set = [
      "index", "name", "type", "platform", "driver", "memory_bytes", "fp16", "tensor_cores",
      "chosen_by",
    ]
    for device in devices { #expect(Set(device.keys).isSuperset(of: keys)) }
    #expect(devices.filter { ($0["chosen_by"] as? [String])?.contains("auto") == true }.count == 1)
    #expect(try semgTrain("devices").output.contains("oneDNN"))
  }

  @Test func aReaderThatGoesAwayEndsTheProgramQuietly() throws {
    let semgTrain = try SemgTrain()
    let outcome = try semgTrain("--help", shell: "set -o pipefail; f() { exec \"$@\" | true; }; f")
    #expect([0, 141].contains(outcome.status))
    #expect(outcome.error.isEmpty)
  }

  @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
  func standardOutputThatIsFullIsAFailedWrite() throws {
    let semgTrain = try SemgTrain()
    let outcome = try semgTrain("--help", shell: "f() { \"$@\" > /dev/full; }; f")
    #expect(outcome.status == 74)
    #expect(outcome.error.contains("No space left on device"))
  }
}
