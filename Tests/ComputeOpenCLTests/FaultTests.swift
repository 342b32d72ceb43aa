import Compute
import ComputeCases
import ComputeOpenCL
import Networks
import TestSupport
import Testing

/// Every call of OpenCL fails once: what comes of it is an error that names the call and the code,
/// or the right result. Never a crash, never a wrong result.
@Suite(.needsOpenCL, .needsCallLayer, .enabled(if: runsSlowTests, "some hundred runs"))
struct FaultTests {
  private static let status: Int32 = -5
  private static let code = "CL_OUT_OF_RESOURCES"
  /// Faults in what only makes a start quicker change nothing: a program from the cache that cannot
  /// be built is built anew.
  private static let needless = [
    "clGetProgramInfo", "clCreateProgramWithBinary", "clBuildProgram", "clGetProgramBuildInfo",
  ]

  /// What came of one run.
  private struct Attempt {
    var failed: String?
    var error: (any Error)?
    var result: [Float]?
  }

  /// Runs with the n-th call of a function failing; what the run leaves is taken down after the
  /// failure has been disarmed.
  private func attempt(
    _ function: String, at occurrence: Int, lasting: Bool = false,
    _ run: (inout [Any]) throws -> [Float]
  ) throws -> Attempt {
    let layer = try #require(CallLayer.present)
    var kept: [Any] = []
    var attempt = Attempt()
    layer.reset()
    layer.fail(function, at: occurrence, status: Self.status, lasting: lasting)
    do { attempt.result = try run(&kept) } catch { attempt.error = error }
    attempt.failed = layer.failed
    layer.reset()
    kept.removeAll()
    return attempt
  }

  /// - Parameter lost: functions whose failures a library keeps to itself, without harm.
  private func check(
    _ attempt: Attempt, expected: [Float], lost: [String] = [], _ place: String
  ) {
    guard let failed = attempt.failed else {
      #expect(attempt.error == nil && attempt.result == expected, "\(place)")
      return
    }
    guard let error = attempt.error else {
      #expect(attempt.result == expected, "\(place): \(failed) failed, wrong result")
      #expect(
        (Self.needless + lost).contains(failed), "\(place): the failure of \(failed) was lost")
      return
    }
    #expect(error is DeviceError, "\(place): \(error)")
    let text = "\(error)"
    #expect(text.contains(Self.code), "\(place), \(failed): \(text)")
    let names = [failed, "CLBlast"] + (Self.needless.contains(failed) ? ["clCreateProgram"] : [])
    #expect(names.contains { text.contains($0) }, "\(place), \(failed): \(text)")
  }

  // MARK: Every call

  /// Opens a device, loads, uploads, runs and reads.
  private func smallRun(_ kept: inout [Any]) throws -> [Float] {
    let subject = try #require(
      OperationCase.awkward.first { $0.family == .gather })
    let description = try TestDevice.open().description
    let device = try OpenCLDevice(
      description, options: .init(usesCLBlast: false, specializes: false))
    kept.append(device)
    let loaded = try subject.load(on: device)
    kept.append(loaded)
    try loaded.run(subject.program, step: subject.step, live: subject.live)
    var values: [Float] = []
    for operation in subject.plan.programs[subject.program]?.operations ?? [] {
      for id in operation.writes {
        let count = subject.plan[id].elementCount(live: subject.live)
        values += try loaded.read(id).prefix(count)
      }
    }
    let steps = subject.step..<subject.step + 1
    values += try loaded.results(of: subject.program, steps: steps).map(\.loss)
    return values
  }

  @Test(arguments: [false, true])
  func eachCallOfASmallRunFails(lasting: Bool) throws {
    var kept: [Any] = []
    let expected = try smallRun(&kept)
    kept.removeAll()
    var occurrence = 0
    while true {
      occurrence += 1
      let attempt = try attempt("*", at: occurrence, lasting: lasting, smallRun)
      check(attempt, expected: expected, "call \(occurrence)")
      if attempt.failed == nil { break }
    }
    #expect(occurrence > 50)
  }

  @Test func eachCallOfTheSearchForDevicesFails() throws {
    let expected = OpenCLSurvey().devices.map { Float($0.memory % 8191) }
    #expect(!expected.isEmpty)
    var occurrence = 0
    while true {
      occurrence += 1
      var faults: [String] = []
      let attempt = try attempt("*", at: occurrence) { _ in
        let survey = OpenCLSurvey()
        faults = survey.platforms.compactMap(\.fault)
        if let failure = survey.failure { throw failure }
        return survey.devices.map { Float($0.memory % 8191) }
      }
      let place = "call \(occurrence), \(attempt.failed ?? "none")"
      if attempt.error != nil || attempt.failed == nil {
        check(attempt, expected: expected, place)
      } else if attempt.result != expected {
        // One platform's failure does not hide the others: it is told beside them.
        #expect(faults.contains { $0.contains(Self.code) }, "\(place): \(faults)")
      }
      if attempt.failed == nil { break }
    }
    #expect(occurrence > 5)
  }

  // MARK: Whole networks

  private static let functions = [
    "clCreateCommandQueue", "clCreateBuffer", "clCreateKernel", "clSetKernelArg",
    "clGetKernelWorkGroupInfo", "clGetDeviceInfo", "clFlush", "clFinish", "clEnqueueReadBuffer",
    "clEnqueueWriteBuffer", "clEnqueueFillBuffer", "clEnqueueNDRangeKernel",
  ]

  /// Each function's first, last and one more occurrence in a load and two training steps.
  @Test(arguments: [0, 1], [false, true])
  func callsOfANetworksRunFail(network: Int, usesCLBlast: Bool) throws {
    let layer = try #require(CallLayer.present)
    let networks = [try Network.inceptionSE(padding: .causal), try .semgNet()]
    let made = TestPlan(networks[network], capacity: 2)
    let device = try OpenCLDevice(
      TestDevice.open().description,
      options: .init(usesCLBlast: usesCLBlast, specializes: false))
    func run(_ kept: inout [Any]) throws -> [Float] {
      let loaded = try made.load(
        device, programs: [.forwardBackward, .update], fuses: true, keepsActivations: false)
      kept.append(loaded)
      for step in 0..<2 {
        try loaded.run(.forwardBackward, step: step, live: 2)
        try loaded.run(.update, step: step, live: 2)
      }
      let losses = try loaded.results(of: .forwardBackward, steps: 0..<2).map(\.loss)
      return losses + (try loaded.read(made.plan.weights[0]))
    }
    var kept: [Any] = []
    _ = try run(&kept)  // Builds the programs, which are the device's.
    kept.removeAll()
    layer.reset()
    let expected = try run(&kept)
    let counts = Self.functions.map { ($0, layer.count($0)) }.filter { $0.1 > 0 }
    #expect(counts.count > 5)
    let isFinite = expected.allSatisfy { $0.isFinite }
    #expect(isFinite)
    kept.removeAll()
    for (index, (function, count)) in counts.enumerated() {
      let draw = Philox.bits(counter: SIMD4(UInt32(index), 0, 0, 0), key: SIMD2(42, 0)).x
      let seeded = 1 + Int(draw) % count
      for occurrence in Set([1, count, seeded]).sorted() {
        let attempt = try attempt(function, at: occurrence, run)
        #expect(attempt.failed == function)
        // CLBlast waits where a program has been built, and does not look at the answer.
        check(
          attempt, expected: expected, lost: usesCLBlast ? ["clFinish"] : [],
          "\(function) \(occurrence) of \(count)")
      }
    }
  }
}
