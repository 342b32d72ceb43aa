import Foundation
import TestSupport
import Testing

/// How many OpenCL programs are built: each takes a GPU's driver tenths of a second. On PoCL passed
/// off as a GPU, where kernels are built for the shapes of each layer.
@Suite(
  .enabled(if: PoCL.isPresent && PoCL.hasLayer || PoCL.isDemanded, "no PoCL, or no layer built"),
  .enabled(if: runsSlowTests, "long without optimization"))
struct ProgramCountTests {
  private func document(_ output: String) throws -> Any {
    try JSONSerialization.jsonObject(with: Data(output.utf8))
  }

  @Test(arguments: [PretendedGPUTests.gpu, PoCL.environment])
  func aSelfCheckBuildsADozenProgramsAtMost(_ environment: [String: String]) throws {
    let outcome = try SemgTrain()("devices", "--verbose", "--json", environment: environment)
    #expect(outcome.status == 0, "\(outcome.error)")
    let line = try #require((try document(outcome.output) as? [[String: Any]])?.first)
    let check = try #require(line["self_check"] as? [String: Any])
    let halves = try #require(check["fp16_builds"] as? [String: [String: Any]])
    let builds = [try #require(check["builds"] as? [String: Any])] + halves.values
    #expect(builds.count == 2)
    for build in builds {
      let count = try #require(build["count"] as? Int)
      #expect((1...12).contains(count), "\(build)")
      #expect((build["programs"] as? [Any])?.count == count)
      #expect(try #require(build["seconds"] as? Double) > 0)
    }
  }

  @Test(arguments: ["fp32", "fp16"])
  func bothNetworksBuildFortyProgramsAtMost(_ precision: String) throws {
    let outcome = try SemgTrain()(
      "benchmark", "--device", "gpu", "--precision", precision, "--steps", "1", "--batch-size",
      "4", "--profile", "--json", environment: PretendedGPUTests.gpu)
    #expect(outcome.status == 0, "\(outcome.error)")
    let value = try #require(try document(outcome.output) as? [String: Any])
    let builds = try #require(value["builds"] as? [String: Any])
    let programs = try #require(builds["programs"] as? [[String: Any]])
    #expect(programs.count == builds["count"] as? Int)
    // What a profile measures the device's peaks with is not a part of a training.
    let count = programs.count { $0["files"] as? [String] != ["peaks"] }
    #expect((1...40).contains(count), "\(builds)")
  }
}
