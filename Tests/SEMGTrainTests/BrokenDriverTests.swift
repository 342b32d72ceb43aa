import Foundation
import TestSupport
import Testing

/// Drivers that crash, hang or go wrong: PoCL passed off as a GPU, with a layer that does so.
@Suite(
  .enabled(if: PoCL.isPresent && PoCL.hasLayer || PoCL.isDemanded, "no PoCL, or no layer built"))
struct BrokenDriverTests {
  private static let brief = [
    "benchmark", "--models", "semg-net", "--steps", "1", "--batch-size", "2",
  ]

  struct Breakdown: Sendable, CustomStringConvertible {
    let failure: String
    let sentence: String
    var description: String { failure }
  }

  private static let inTheCheck = [
    Breakdown(
      failure: "clEnqueueNDRangeKernel:3:abort",
      sentence: "crashed in its self-check: Aborted (signal 6)"),
    Breakdown(
      failure: "clBuildProgram:2:segv",
      sentence: "crashed in its self-check: Segmentation fault (signal 11)"),
    Breakdown(
      failure: "clEnqueueReadBuffer:1:hang",
      sentence: "did not come back in its self-check within 6 seconds and was stopped"),
  ]
  private static let inTheSurvey = [
    Breakdown(
      failure: "clGetDeviceIDs:1:abort",
      sentence: "a driver crashed as it was asked for its devices: Aborted (signal 6)"),
    Breakdown(
      failure: "clGetPlatformInfo:1:hang",
      sentence: "a driver did not come back as it was asked for its devices within 6 seconds"),
  ]

  /// - Parameter failure: as `SEMG_LAYER_FAIL` takes it.
  private func environment(_ failure: String) -> [String: String] {
    PretendedGPUTests.gpu.merging([
      "SEMG_LAYER_FAIL": failure, "SEMG_SELF_CHECK_SECONDS": "6",
    ]) { $1 }
  }

  /// Ends what never comes back, so that the tests do.
  private static let bounded = "exec timeout --kill-after=5 240"

  @Test(arguments: inTheCheck + inTheSurvey)
  func aDriverThatBreaksDownCostsASentence(_ breakdown: Breakdown) throws {
    let semgTrain = try SemgTrain()
    let environment = environment(breakdown.failure)
    let refused = try semgTrain.run(
      Self.brief + ["--device", "gpu"], environment: environment, shell: Self.bounded)
    #expect(refused.status == 69, "\(refused.error)")
    #expect(refused.error.contains(breakdown.sentence), "\(refused.error)")
    #expect(refused.error.contains("--device cpu"))
    let auto = try semgTrain.run(Self.brief, environment: environment, shell: Self.bounded)
    #expect(auto.status == 0, "\(auto.error)")
    #expect(auto.error.contains("warning"))
    #expect(auto.error.contains(breakdown.sentence), "\(auto.error)")
    #expect(auto.error.contains("device: CPU (oneDNN"))
  }

  @Test(arguments: inTheCheck)
  func devicesSaysHowACheckBrokeDown(_ breakdown: Breakdown) throws {
    let semgTrain = try SemgTrain()
    let outcome = try semgTrain(
      "devices", "--verbose", environment: environment(breakdown.failure), shell: Self.bounded)
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.contains("auto takes the CPU backend: no GPU passes its self-check."))
    #expect(outcome.output.contains("gpu is refused: gpu:0 fails its self-check."))
    #expect(outcome.output.contains(breakdown.sentence), "\(outcome.output)")
  }

  @Test(arguments: inTheSurvey)
  func devicesListsTheCPUWhereADriverBreaksDownAsItIsAsked(_ breakdown: Breakdown) throws {
    let semgTrain = try SemgTrain()
    let outcome = try semgTrain(
      "devices", "--json", environment: environment(breakdown.failure), shell: Self.bounded)
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.hasPrefix("[{"))
    #expect(outcome.error.contains(breakdown.sentence), "\(outcome.error)")
  }

  @Test(.enabled(if: runsSlowTests, "long without optimization"), arguments: inTheCheck)
  func aTrainingGoesOnWithTheCPUOrStops(_ breakdown: Breakdown) throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory)
    let environment = environment(breakdown.failure)
    let refused = try semgTrain.run(
      SemgTrain.brief + ["--device", "gpu", "--output", "gpu"], environment: environment,
      shell: Self.bounded)
    #expect(refused.status == 69, "\(refused.error)")
    #expect(refused.error.contains(breakdown.sentence), "\(refused.error)")
    let auto = try semgTrain.run(
      SemgTrain.brief + ["--output", "auto"], environment: environment, shell: Self.bounded)
    #expect(auto.status == 0, "\(auto.error)")
    #expect(auto.error.contains(breakdown.sentence), "\(auto.error)")
    #expect(auto.error.contains("semg-net: best epoch 1"))
  }

  /// More than the self-check writes, less than weights and recordings take.
  private static let spoilt = PretendedGPUTests.gpu.merging([
    "SEMG_LAYER_SPOIL_AFTER": "2500000"
  ]) { $1 }

  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func aDriverThatGoesWrongOnceTheDataAreUpIsNotTrainedOn() throws {
    let semgTrain = try SemgTrain()
    _ = try SmallRecordings(in: semgTrain.directory, samples: 12_000)
    let refused = try semgTrain.run(
      SemgTrain.brief + ["--device", "gpu", "--output", "gpu"], environment: Self.spoilt)
    #expect(refused.status == 69, "\(refused.error)")
    #expect(refused.error.contains("device: "), "the self-check is to pass: \(refused.error)")
    #expect(refused.error.contains(" computes wrongly: "), "\(refused.error)")
    #expect(!refused.error.contains("epoch 1"))
    let auto = try semgTrain.run(
      SemgTrain.brief + ["--output", "auto"], environment: Self.spoilt)
    #expect(auto.status == 0, "\(auto.error)")
    #expect(auto.error.contains(" computes wrongly: "), "\(auto.error)")
    #expect(auto.error.contains("device: CPU (oneDNN"))
    #expect(auto.error.contains("semg-net: best epoch 1"))
    let report = try String(
      contentsOfFile: semgTrain.directory.file("auto/metrics.json"), encoding: .utf8)
    #expect(report.contains("CPU (oneDNN"))
  }

  // MARK: Tensor cores

  /// Kernels, in a folder of that name, of which the probe of tensor cores is another.
  private func kernels(
    _ name: String, in semgTrain: SemgTrain, probe: (String) -> String
  ) throws -> [String: String] {
    let kernels = semgTrain.directory.file(name)
    try FileManager.default.copyItem(
      atPath: SharedData.packageRoot.appending(path: "Kernels").path, toPath: kernels)
    let file = "\(kernels)/tensor_core_probe.cl"
    let source = try String(contentsOfFile: file, encoding: .utf8)
    let changed = probe(source)
    try #require(changed != source)
    try changed.write(toFile: file, atomically: false, encoding: .utf8)
    return ["SEMG_KERNELS": kernels]
  }

  private func tensorCores(
    _ semgTrain: SemgTrain, capability: String, _ more: [String: String] = [:]
  ) throws -> (has: Bool, reason: String?) {
    let outcome = try semgTrain(
      "devices", "--json",
      environment: PretendedGPUTests.gpu.merging(["SEMG_LAYER_CAPABILITY": capability]) { $1 }
        .merging(more) { $1 })
    #expect(outcome.status == 0, "\(outcome.error)")
    let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
    let line = try #require((value as? [[String: Any]])?.first)
    return (
      try #require(line["tensor_cores"] as? Bool), line["tensor_cores_reason"] as? String
    )
  }

  @Test func tensorCoresAreThereWhereTheProbePassesAndNowhereElse() throws {
    let semgTrain = try SemgTrain()
    let old = try tensorCores(semgTrain, capability: "7.5")
    #expect(!old.has)
    #expect(old.reason == "its compute capability is 7.5, the kernels need 8.0")
    let foreign = try tensorCores(semgTrain, capability: "8.6")
    #expect(!foreign.has)
    #expect(foreign.reason?.contains("left out their instructions") == true)

    let emulated = try kernels("emulated", in: semgTrain) { "#define EMULATED 1\n" + $0 }
    let right = try tensorCores(semgTrain, capability: "8.6", emulated)
    #expect(right.has)
    #expect(right.reason == nil)
    let mistaken = try kernels("mistaken", in: semgTrain) {
      "#define EMULATED 1\n" + $0.replacing("= sums[2 * i];", with: "= sums[2 * i] + 1.0f;")
    }
    let wrong = try tensorCores(semgTrain, capability: "8.6", mistaken)
    #expect(!wrong.has)
    let start = "the probe computes wrongly: row 0, column 0 as a float is"
    #expect(wrong.reason?.hasPrefix(start) == true, "\(wrong.reason ?? "")")
    #expect(wrong.reason?.contains("of 128 values are wrong") == true)
  }

  @Test func aProbeThatDoesNotBuildLeavesItsLog() throws {
    let semgTrain = try SemgTrain()
    let broken = try kernels("broken", in: semgTrain) { "no_type of_this_name;\n" + $0 }
    let environment = PretendedGPUTests.gpu.merging(["SEMG_LAYER_CAPABILITY": "9.0"]) { $1 }
      .merging(broken) { $1 }
    let found = try tensorCores(semgTrain, capability: "9.0", broken)
    #expect(!found.has)
    #expect(found.reason?.contains("clBuildProgram(tensor_core_probe.cl") == true)
    #expect(found.reason?.contains("no_type") == true, "\(found.reason ?? "")")
    let half = try semgTrain.run(
      Self.brief + ["--precision", "fp16"], environment: environment)
    #expect(half.error.contains("fp16 is stored, and computed in fp32, not on tensor cores: "))
    #expect(half.error.contains("devices --verbose has all of it"))
    #expect(half.error.contains("nor in native halves: the device has no cl_khr_fp16"))
  }

  @Test func aProbeThatCrashesIsAReason() throws {
    let semgTrain = try SemgTrain()
    let found = try tensorCores(
      semgTrain, capability: "9.0", ["SEMG_LAYER_FAIL": "clBuildProgram:1:abort"])
    #expect(!found.has)
    #expect(found.reason == "its driver crashed in the probe: Aborted (signal 6)")
  }
}
