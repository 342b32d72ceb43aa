import ComputeOpenCL
import Foundation
import Testing

/// The layer of `Tests/OpenCLLayer`, which counts calls and makes one fail, where this process was
/// started with it: `OPENCL_LAYERS` names it. It counts the calling thread alone, so tests may run
/// side by side.
struct CallLayer: Sendable {
  private let resetCalls: @convention(c) @Sendable () -> Void
  private let countOf: @convention(c) @Sendable (UnsafePointer<CChar>) -> Int
  private let failAt: @convention(c) @Sendable (UnsafePointer<CChar>, Int, Int32, Int32) -> Void
  private let limitTo: @convention(c) @Sendable (UnsafePointer<CChar>, Int) -> Int32
  private let failedCall: @convention(c) @Sendable () -> UnsafePointer<CChar>?

  static let present = CallLayer()

  private init?() {
    // The loader reads its layers at its first call.
    guard let path = ProcessInfo.processInfo.environment["OPENCL_LAYERS"], TestDevice.isPresent,
      let library = dlopen(path, RTLD_NOW | RTLD_NOLOAD),
      let reset = dlsym(library, "semg_layer_reset"),
      let count = dlsym(library, "semg_layer_count"),
      let fail = dlsym(library, "semg_layer_fail"),
      let limit = dlsym(library, "semg_layer_limit"),
      let failed = dlsym(library, "semg_layer_failed")
    else { return nil }
    resetCalls = unsafeBitCast(reset, to: (@convention(c) @Sendable () -> Void).self)
    countOf = unsafeBitCast(
      count, to: (@convention(c) @Sendable (UnsafePointer<CChar>) -> Int).self)
    failAt = unsafeBitCast(
      fail, to: (@convention(c) @Sendable (UnsafePointer<CChar>, Int, Int32, Int32) -> Void).self)
    limitTo = unsafeBitCast(
      limit, to: (@convention(c) @Sendable (UnsafePointer<CChar>, Int) -> Int32).self)
    failedCall = unsafeBitCast(
      failed, to: (@convention(c) @Sendable () -> UnsafePointer<CChar>?).self)
  }

  /// Forgets the counts and the failure that is waited for.
  func reset() { resetCalls() }

  /// Calls since the reset of a function, or of a kind that `semg_opencl_layer.h` names.
  func count(_ name: String) -> Int { countOf(name) }

  /// Makes the call with this number, from one, fail with a status; `lasting`: all from it on.
  func fail(_ name: String, at occurrence: Int, status: Int32, lasting: Bool = false) {
    failAt(name, occurrence, status, lasting ? 1 : 0)
  }

  /// The most that the device, or each kernel, is said to have, for as long as `body` runs.
  func limiting<Result>(_ name: String, to most: Int, _ body: () throws -> Result) rethrows
    -> Result
  {
    precondition(limitTo(name, most) == 1, "the layer has no limit \(name)")
    defer { _ = limitTo(name, 0) }
    return try body()
  }

  /// The function that was made to fail since the reset.
  var failed: String? { failedCall().map { String(cString: $0) } }
}

extension Trait where Self == ConditionTrait {
  /// Skips where the process was not started with the layer, as `make test` starts it.
  static var needsCallLayer: Self {
    .enabled(if: CallLayer.present != nil, "OPENCL_LAYERS does not name our layer: see make test")
  }
}
