import Foundation
import TestSupport
import Testing

@testable import Parity
@testable import SEMGTrain

/// Which device is taken, on machines with and without OpenCL, and what is said about it.
struct DeviceTests {
  /// Where the loader is told to look instead of the machine's drivers.
  private enum Drivers {
    case none, broken

    func environment(in place: TemporaryDirectory) throws -> [String: String] {
      let folder = place.file("vendors")
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      if self == .broken {
        try "libnowhere-opencl.so.1\n".write(
          toFile: "\(folder)/nowhere.icd", atomically: false, encoding: .utf8)
      }
      return ["OCL_ICD_VENDORS": folder]
    }
  }

  private func devices(_ json: String) throws -> [[String: Any]] {
    let value = try JSONSerialization.jsonObject(with: Data(json.utf8))
    return try #require(value as? [[String: Any]])
  }

  @Test func withoutADriverTheCPUIsTakenAndTheGPUIsRefused() throws {
    let semgTrain = try SemgTrain()
    let environment = try Drivers.none.environment(in: semgTrain.directory)
    let listed = try semgTrain("devices", "--json", environment: environment)
    #expect(listed.status == 0)
    #expect(try devices(listed.output).map { $0["device"] as? String } == ["cpu"])
    let text = try semgTrain("devices", "--verbose", environment: environment)
    #expect(text.status == 0)
    #expect(text.output.contains("auto takes the CPU backend: no OpenCL device is a GPU"))
    #expect(text.output.contains("gpu is refused: there is no OpenCL device"))
    #expect(text.output.contains("vendors lists no OpenCL driver"))
    for command in ["train", "evaluate", "benchmark", "parity"] {
      let refused = try semgTrain(command, "--device", "gpu", environment: environment)
      #expect(refused.status == 69, "\(command): \(refused.error)")
      #expect(refused.output.isEmpty)
      #expect(refused.error.contains("found no OpenCL device"))
      #expect(refused.error.contains("Use --device cpu"))
    }
  }

  @Test func aDriverThatDoesNotLoadIsNoErrorUntilItIsAskedFor() throws {
    let semgTrain = try SemgTrain()
    let environment = try Drivers.broken.environment(in: semgTrain.directory)
    let quiet = try semgTrain("devices", environment: environment)
    #expect(quiet.status == 0)
    #expect(!quiet.output.contains("nowhere"))
    let verbose = try semgTrain("devices", "--verbose", environment: environment)
    #expect(verbose.status == 0)
    #expect(verbose.output.contains("nowhere.icd names a driver that does not load"))
    let refused = try semgTrain("--device", "gpu", environment: environment)
    #expect(refused.status == 69)
    #expect(refused.error.contains("libnowhere-opencl.so.1"))
    // The CPU is there all the same, chosen or by default.
    for device in ["auto", "cpu"] {
      let outcome = try semgTrain("--device", device, environment: environment)
      #expect(outcome.status == 66)
    }
  }

  @Test(.enabled(if: PoCL.isPresent || PoCL.isDemanded, "no PoCL on this machine"))
  func aProcessorBehindOpenCLIsTakenByGPUAndNeverByAuto() throws {
    let semgTrain = try SemgTrain()
    let listed = try semgTrain("devices", "--json", environment: PoCL.environment)
    #expect(listed.status == 0, "\(listed.error)")
    let lines = try devices(listed.output)
    #expect(lines.map { $0["device"] as? String } == ["gpu:0", "cpu"])
    #expect(lines.map { $0["index"] as? Int } == [0, 1])
    #expect(lines.map { $0["chosen_by"] as? [String] } == [["gpu"], ["auto"]])
    #expect(lines[0]["type"] as? String == "cpu")
    #expect(lines[0]["platform"] as? String == "Portable Computing Language")
    #expect(lines[0]["fp16"] as? Bool == false)
    let beyond = try semgTrain("--device", "gpu:1", environment: PoCL.environment)
    #expect(beyond.status == 69)
    #expect(beyond.error.contains("found no gpu:1: the only OpenCL device is gpu:0"))
  }

  @Test(
    .enabled(
      if: runsSlowTests && (PoCL.isPresent || PoCL.isDemanded),
      "no PoCL on this machine, or long without optimization"))
  func aTrainingInHalfPrecisionSaysHowManyStepsItSkipped() throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    let outcome = try semgTrain.run(
      SemgTrain.brief + ["--device", "gpu", "--precision", "fp16", "--output", "run", "--json"],
      environment: PoCL.environment)
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.error.contains("fp16"))
    let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
    let report = try #require(value as? [String: Any])
    #expect(report["skipped_steps"] as? [String: Int] == ["semg-net": 0])
    #expect((report["device"] as? String)?.hasSuffix("in half precision") == true)
  }

  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func parityPrintsEveryCaseForPeopleAndForPrograms() throws {
    let semgTrain = try SemgTrain()
    let text = try semgTrain("parity", "--device", "cpu", "--quick")
    #expect(text.status == 0, "\(text.error)")
    let lines = text.output.split(separator: "\n")
    let passes = lines.count { $0.hasSuffix("  pass") }
    #expect(passes > 100)
    #expect(lines.first?.hasPrefix("device: CPU (oneDNN") == true)
    #expect(lines.last?.hasPrefix("all \(passes) cases pass") == true)

    let json = try semgTrain("parity", "--device", "cpu", "--quick", "--json")
    #expect(json.status == 0)
    let value = try JSONSerialization.jsonObject(with: Data(json.output.utf8))
    let document = try #require(value as? [String: Any])
    #expect(document["missed"] as? Int == 0)
    #expect(document["device"] is [String: Any])
    let cases = try #require(document["cases"] as? [[String: Any]])
    #expect(cases.count == passes)
    for item in cases {
      #expect(item["pass"] as? Bool == true)
      #expect(item["error"] is Double && item["bound"] is Double)
      #expect(item["name"] is String && item["shape"] is String)
    }
  }

  @Test func aRefusalNamesTheOperationAndWhatToDoNext() throws {
    let wrong = ParityResult(
      name: "max pool", shape: "2, T 13, 2/3", error: 1, bound: 0.5, worst: "",
      misses: ["max_pool_forward output: error 1.0, bound 0.5, of 84 elements"])
    let failed = ParityResult(name: "softmax", shape: "", misses: ["clBuildProgram failed"])
    let one = SelfCheckReport(failures: [wrong])
    let sentence = try #require(one.refusal(of: "Some GPU (gpu:1)", index: 1))
    #expect(sentence.hasPrefix("Some GPU (gpu:1) computes wrongly, at max pool, 2, T 13, 2/3: "))
    #expect(sentence.contains("max_pool_forward output"))
    #expect(sentence.contains("parity --device gpu:1"))
    #expect(sentence.contains("--device cpu"))
    let both = SelfCheckReport(failures: [failed, wrong])
    let other = try #require(both.refusal(of: "Some GPU", index: 0))
    #expect(other.contains("fails its self-check at softmax and 1 other case: clBuildProgram"))
    #expect(SelfCheckReport(failures: []).refusal(of: "Some GPU", index: 0) == nil)
  }

  @Test func aMissStandsUnderItsCase() {
    let lines = ParityTable.lines(
      of: ParityResult(
        name: "max pool", shape: "2, T 13, 2/3", error: .nan, bound: 0.5, worst: "",
        misses: (1...6).map { "miss \($0)" })
    ).split(separator: "\n")
    #expect(lines.count == 6)
    #expect(lines.first?.hasSuffix("MISS") == true)
    #expect(lines.dropFirst().first == "  miss 1")
    #expect(lines.last == "  and 2 more")
  }
}

/// Debian's OpenCL on the processor, the one that every machine can have.
enum PoCL {
  static let driver = "/etc/OpenCL/vendors/pocl.icd"
  static let isPresent = FileManager.default.fileExists(atPath: driver)
  /// What passes it off as a GPU, see Tests/OpenCLLayer.
  static let layer = SemgTrain.binary.deletingLastPathComponent().appending(
    path: "libsemg-opencl-layer.so"
  ).path
  static let hasLayer = FileManager.default.fileExists(atPath: layer)
  static let isDemanded = ProcessInfo.processInfo.environment["CI"] == "true"
  /// With compiled kernels kept from one test to the next.
  static let environment = [
    "OCL_ICD_VENDORS": driver,
    "POCL_CACHE_DIR": ProcessInfo.processInfo.environment["POCL_CACHE_DIR"]
      ?? SharedData.packageRoot.appending(path: "build/pocl").path,
  ]
}

/// With a GPU: PoCL, which a layer between the loader and it passes off as one.
@Suite(
  .enabled(if: PoCL.isPresent && PoCL.hasLayer || PoCL.isDemanded, "no PoCL, or no layer built"))
struct PretendedGPUTests {
  static let gpu = PoCL.environment.merging([
    "OPENCL_LAYERS": PoCL.layer, "SEMG_LAYER_AS_GPU": "1",
  ]) { $1 }
  /// A command that opens its device at once and needs no recordings.
  private static let brief = [
    "benchmark", "--models", "semg-net", "--steps", "1", "--batch-size", "2",
  ]

  @Test func aGPUIsListedAsWhatAutoAndGPUTake() throws {
    let semgTrain = try SemgTrain()
    let outcome = try semgTrain("devices", environment: Self.gpu)
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.contains("auto takes gpu:0 if it passes its self-check: the only GPU."))
    #expect(outcome.output.contains("gpu takes gpu:0 if it passes its self-check: the best GPU."))
  }

  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func aGPUThatPassesItsSelfCheckIsTakenByAuto() throws {
    let semgTrain = try SemgTrain()
    let outcome = try semgTrain.run(Self.brief, environment: Self.gpu)
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.error.contains("(gpu:0, Portable Computing Language, driver "))
    #expect(!outcome.error.contains("warning"))
  }

  /// Times both precisions; then, as if half had been the faster one, lets `auto` choose.
  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func theFasterPrecisionIsTakenOnceItWasTimed() throws {
    let semgTrain = try SemgTrain()
    let cache = semgTrain.directory.file("cache")
    let environment = Self.gpu.merging(["XDG_CACHE_HOME": cache]) { $1 }
    let untimed = try semgTrain("devices", environment: environment)
    #expect(
      untimed.output.contains("auto takes fp32: fp16 has not been timed on gpu:0; semg-train"))
    let tuned = try semgTrain(
      "tune", "--precisions-only", "--models", "semg-net", "--batch-size", "2", "--json",
      environment: environment)
    #expect(tuned.status == 0, "\(tuned.error)")
    let value = try JSONSerialization.jsonObject(with: Data(tuned.output.utf8))
    let report = try #require(value as? [String: Any])
    let precisions = try #require(report["precisions"] as? [[String: Any]])
    #expect(precisions.map { $0["precision"] as? String } == ["fp32", "fp16"])
    #expect(report["products"] == nil)
    let times = precisions.compactMap { $0["milliseconds"] as? Double }
    #expect(report["auto"] as? String == (times[1] < 0.98 * times[0] ? "fp16" : "fp32"))

    let file = try #require(report["precision_file"] as? String)
    let kept = try String(contentsOfFile: file, encoding: .utf8)
    for (milliseconds, expected) in [("1e-3", "fp16"), ("1e9", "fp32")] {
      // The second figure is half precision's.
      let pattern = /"milliseconds" : [0-9.e+-]+/
      let last = try #require(kept.ranges(of: pattern).last)
      var doctored = kept
      doctored.replaceSubrange(last, with: "\"milliseconds\" : \(milliseconds)")
      try doctored.write(toFile: file, atomically: true, encoding: .utf8)
      let listed = try semgTrain("devices", environment: environment)
      #expect(listed.output.contains("--precision auto takes \(expected) to train on gpu:0"))
      let run = try semgTrain.run(Self.brief, environment: environment)
      #expect(run.status == 0, "\(run.error)")
      #expect(run.error.contains(", fp16\n") == (expected == "fp16"), "\(run.error)")
    }
    // Asked for, a precision is taken whatever the times say.
    let single = try semgTrain.run(Self.brief + ["--precision", "fp16"], environment: environment)
    #expect(single.error.contains(", fp16\n"), "\(single.error)")
  }

  /// Each leaves what it leaves alone.
  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func bothNetworksTrainAtTheSameTime() throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    _ = try SmallRecordings(in: place)
    let options = [
      "--data", SmallRecordings.name, "--epochs", "2", "--batch-size", "16", "--device", "gpu",
      "--json",
    ]
    func history(_ directory: String, of model: String) throws -> [String] {
      try String(contentsOfFile: place.file("\(directory)/history.csv"), encoding: .utf8)
        .split(separator: "\n").filter { $0.hasPrefix(model) }
        .map { $0.split(separator: ",").dropLast().joined(separator: ",") }
    }
    let both = try semgTrain.run(options + ["--output", "both"], environment: Self.gpu)
    #expect(both.status == 0, "\(both.error)")
    #expect(both.error.contains("inception-se and semg-net train at the same time"))
    let report = try #require(try SemgTrain.objects(both.output).first)
    for model in ["inception-se", "semg-net"] {
      #expect(both.error.contains("\(model) epoch 2  loss "))
      let alone = try semgTrain.run(
        options + ["--models", model, "--output", model], environment: Self.gpu)
      #expect(alone.status == 0, "\(alone.error)")
      #expect(!alone.error.contains("at the same time"))
      let single = try #require(try SemgTrain.objects(alone.output).first)
      let figures = [report, single].map { ($0["models"] as? [String: Any])?[model] }
      #expect(SemgTrain.text(figures[0]) == SemgTrain.text(figures[1]))
      #expect(try history("both", of: model).count == 2)
      #expect(try history("both", of: model) == history(model, of: model))
      let file = "best_\(model.replacing("-", with: "_")).keras"
      let weights = try ["both", model].map {
        try PipelineTests.weightFile(in: place.file("\($0)/\(file)"))
      }
      #expect(weights[0] == weights[1] && weights[0].count > 10_000)
    }
  }

  @Test func aGPUThatComputesWronglyIsRefusedAndAutoGoesOnWithTheCPU() throws {
    let semgTrain = try SemgTrain()
    let kernels = semgTrain.directory.file("kernels")
    try FileManager.default.copyItem(
      atPath: SharedData.packageRoot.appending(path: "Kernels").path, toPath: kernels)
    let file = "\(kernels)/pooling.cl"
    let source = try String(contentsOfFile: file, encoding: .utf8)
    let mutant = source.replacing("if (rival > largest)", with: "if (rival < largest)")
    try #require(mutant != source)
    try mutant.write(toFile: file, atomically: false, encoding: .utf8)
    let environment = Self.gpu.merging(["SEMG_KERNELS": kernels]) { $1 }
    let refused = try semgTrain.run(Self.brief + ["--device", "gpu"], environment: environment)
    #expect(refused.status == 69, "\(refused.error)")
    #expect(refused.error.contains("computes wrongly, at max pool"))
    let auto = try semgTrain.run(Self.brief, environment: environment)
    #expect(auto.status == 0, "\(auto.error)")
    #expect(auto.error.contains("warning"))
    #expect(auto.error.contains("max_pool_forward output"))
    #expect(auto.error.contains("device: CPU (oneDNN"))
  }

  @Test func aDriverThatFailsIsNamedWithItsCallAndAutoGoesOnWithTheCPU() throws {
    let semgTrain = try SemgTrain()
    let environment = Self.gpu.merging(["SEMG_LAYER_FAIL": "clCreateContext:1+:-6"]) { $1 }
    let refused = try semgTrain.run(Self.brief + ["--device", "gpu"], environment: environment)
    #expect(refused.status == 69, "\(refused.error)")
    #expect(refused.error.contains("clCreateContext failed with CL_OUT_OF_HOST_MEMORY"))
    let auto = try semgTrain.run(Self.brief, environment: environment)
    #expect(auto.status == 0, "\(auto.error)")
    #expect(auto.error.contains("clCreateContext failed with CL_OUT_OF_HOST_MEMORY"))
    #expect(auto.error.contains("device: CPU (oneDNN"))
  }

  /// A launch fails in the epoch behind those that were counted: so many that the self-check, in a
  /// process of its own that counts from one, is over before.
  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func aCallThatFailsInTrainingLeavesTheBestArtifactWhole() throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    let counts = semgTrain.directory.file("counts")
    let epochs = 40
    let train = SemgTrain.brief + ["--device", "gpu"]
    let one = try semgTrain.run(
      train + ["--output", "one", "--epochs", "\(epochs)"],
      environment: Self.gpu.merging(["SEMG_LAYER_COUNTS": counts]) { $1 })
    try #require(one.status == 0, "\(one.error)")
    // All epochs with the evaluation: in a run of one more, that one is under way then.
    let launches = try String(contentsOfFile: counts, encoding: .utf8).split(separator: "\n")
      .first { $0.hasPrefix("clEnqueueNDRangeKernel ") }?.split(separator: " ").last
    let failure = "clEnqueueNDRangeKernel:\(try #require(launches))+:-5"
    let outcome = try semgTrain.run(
      train + ["--epochs", "\(epochs + 1)", "--output", "two"],
      environment: Self.gpu.merging(["SEMG_LAYER_FAIL": failure]) { $1 })
    #expect(outcome.status == 69, "\(outcome.error)")
    #expect(outcome.error.contains("semg-net epoch \(epochs) "))
    #expect(!outcome.error.contains("semg-net epoch \(epochs + 1) "))
    #expect(outcome.error.contains("clEnqueueNDRangeKernel("))
    #expect(outcome.error.contains("failed with CL_OUT_OF_RESOURCES"))
    let evaluated = try semgTrain.run(
      ["evaluate", "two", "--data", SmallRecordings.name, "--device", "cpu", "--quiet"])
    #expect(evaluated.status == 0, "\(evaluated.error)")
  }

  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func aDeviceWithTooLittleMemorySaysSo() throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    let outcome = try semgTrain.run(
      SemgTrain.brief + ["--device", "gpu", "--output", "run"],
      environment: Self.gpu.merging(["SEMG_LAYER_MEMORY": "12000000"]) { $1 })
    #expect(outcome.status == 69, "\(outcome.error)")
    #expect(outcome.error.contains("has no room for"))
    #expect(outcome.error.contains("--batch-size"))
  }
}
