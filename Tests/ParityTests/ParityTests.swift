import Compute
import ComputeCPU
import ComputeCases
import ComputeReference
import Networks
import TestSupport
import Testing

@testable import Parity

struct ParityTests {
  private func results(
    of device: any Device, batchSize: Int = 2, isQuick: Bool
  ) throws -> [ParityResult] {
    var results: [ParityResult] = []
    try ParityRun(device: device, batchSize: batchSize, isQuick: isQuick, threads: 2).run {
      results.append($0)
    }
    return results
  }

  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func theCPUBackendPassesEveryCase() throws {
    var lastShare = 0.0
    var results: [ParityResult] = []
    let run = ParityRun(device: CPUDevice(threads: 2), batchSize: 4, threads: 1)
    try run.run(
      willRun: { _, done in
        #expect(done >= lastShare && done < 1)
        lastShare = done
      }, report: { results.append($0) })
    for result in results { #expect(result.passes, "\(result)") }
    #expect(results.allSatisfy { $0.error != nil && $0.bound != nil && !$0.worst.isEmpty })
    let names = Set(results.map(\.name))
    for name in [
      "conv1d causal", "gather", "attention and mean, fused", "semg-net validation",
      "inception-se causal forward and backward, fused", "training samples",
      "training curve semg-net",
    ] {
      #expect(names.contains(name), "\(name)")
    }
  }

  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func aWrongOperationIsNamedAndNothingElseIsBlamed() throws {
    let device = AlteredDevice(.wrong(operation: "max_pool_backward"))
    let missed = try results(of: device, isQuick: true).filter { !$0.passes }
    #expect(!missed.isEmpty)
    for result in missed {
      #expect(result.misses.allSatisfy { $0.hasPrefix("max_pool_backward ") }, "\(result)")
      #expect(result.worst.hasPrefix("max_pool_backward "))
    }
    #expect(missed.contains { $0.name == "max pool" })
  }

  @Test func theSelfCheckRunsEveryOperation() {
    let all = OperationCase.awkward.flatMap { Self.names(of: $0) }
    let checked = SelfCheck.cases.flatMap { Self.names(of: $0) }
    #expect(Set(checked) == Set(all))
    #expect(SelfCheck.cases.count < OperationCase.awkward.count / 2)
  }

  @Test func theSelfCheckPassesADeviceThatComputesRightly() {
    for result in SelfCheck.failures(of: CPUDevice(threads: 2)) {
      Issue.record("\(result)")
    }
  }

  /// Whichever operation it is.
  @Test(arguments: Set(SelfCheck.cases.flatMap { names(of: $0) }).sorted())
  func theSelfCheckNamesTheOperationThatIsWrong(_ operation: String) throws {
    // The penalty is not a tensor, and this wrapper changes tensors alone.
    guard operation != "l2_penalty" else { return }
    let failures = SelfCheck.failures(of: AlteredDevice(.wrong(operation: operation)))
    #expect(!failures.isEmpty)
    for failure in failures {
      #expect(failure.misses.allSatisfy { $0.hasPrefix(operation + " ") }, "\(failure)")
    }
  }

  @Test func elementsThatAFusedLaunchLeavesOutAreSeen() throws {
    let failures = SelfCheck.failures(
      of: AlteredDevice(.unwritten(launch: "attention_mean_forward")))
    #expect(!failures.isEmpty)
    for failure in failures {
      #expect(failure.name.hasSuffix(", fused"))
      #expect(failure.misses.allSatisfy { $0.contains("missing or no numbers") })
    }
  }

  @Test(arguments: [
    AlteredDevice.Fault.refuses(operation: "softmax"), .fails(operation: "softmax"),
  ])
  func aDeviceThatFailsIsAMissAndTheOtherCasesAreRunAllTheSame(fault: AlteredDevice.Fault) throws {
    let failures = SelfCheck.failures(of: AlteredDevice(fault))
    let sentences = Set(failures.flatMap(\.misses))
    #expect(sentences.count == 1)
    #expect(failures.allSatisfy { $0.name == "softmax" && $0.error == nil })
  }

  /// The values of a case depend on its name: title and sizes are parts of it, never parsed from it.
  @Test func aCaseIsNamedByItsTitleAndItsSizes() throws {
    let convolution = try #require(OperationCase.awkward.first { $0.family == .conv1D })
    #expect(convolution.title == "conv1d same")
    #expect(convolution.name == convolution.title + " " + convolution.sizes)
    let attention = try #require(OperationCase.awkward.first { $0.family == .attentionMean })
    #expect(attention.name == "attention and mean, " + attention.sizes)
    let results = ParitySubject(convolution, reference: ReferenceDevice())
    #expect(results.name == convolution.title && results.shape == convolution.sizes)
  }

  private static func names(of subject: OperationCase) -> [String] {
    subject.operations.map(\.name)
  }
}

struct TrainingCurveTests {
  /// What is compared must be more than the order of threads.
  @Test(.enabled(if: runsSlowTests, "long without optimization"), arguments: [8, 16])
  func theCurveOfTheCPUDoesNotDependOnItsThreadsOrFusion(batchSize: Int) throws {
    for network in [try Network.inceptionSE(padding: .causal), try .semgNet()] {
      let curve = try TrainingCurve(network: network, batchSize: batchSize)
      let expected = try curve.losses(on: CPUDevice(threads: 1))
      #expect(expected.count == 10)
      #expect(Set(expected).count == 10)
      for (threads, fuses) in [(2, true), (1, false)] {
        let found = try curve.losses(on: CPUDevice(threads: threads), fuses: fuses)
        let errors = zip(found, expected).map { abs($0 - $1) / $1 }
        #expect((errors.max() ?? 1) <= TrainingCurve.lossBound, "\(network.name) \(errors)")
      }
    }
  }

  @Test func theSamplesAreThoseOfAllThreeViewsAndTheLastBatchIsPartial() throws {
    let curve = try TrainingCurve(network: .semgNet(), batchSize: 4, steps: 3)
    let samples = try curve.samples(on: CPUDevice(threads: 1))
    let lives: [Int] = [4, 4, 3]
    let counts: [Int] = lives.flatMap { (live: Int) -> [Int] in [live * 204 * 8, live * 5, live] }
    #expect(samples.map(\.count) == counts)
    // Standardized recordings.
    let values = samples[0]
    let deviation = (values.reduce(0) { $0 + $1 * $1 } / Float(values.count)).squareRoot()
    #expect((0.2...3).contains(deviation))
  }

  @Test func aWrongSampleIsSeen() throws {
    let curve = try TrainingCurve(network: .semgNet(), batchSize: 4, steps: 2)
    let cpu = CPUDevice(threads: 1)
    let wrong = AlteredDevice(.wrong(operation: "gather_windows"))
    #expect(!curve.sampleResult(named: "samples", on: wrong, reference: cpu).passes)
    #expect(curve.sampleResult(named: "samples", on: cpu, reference: cpu).passes)
  }
}
