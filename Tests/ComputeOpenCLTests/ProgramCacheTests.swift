import COpenCL
import Compute
import Foundation
import Networks
import TestSupport
import Testing

@testable import ComputeOpenCL

@Suite struct ProgramCacheTests {
  private func withCache(_ body: (ProgramCache) throws -> Void) throws {
    let directory = FileManager.default.temporaryDirectory
      .appendingPathComponent("semg-cache-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: directory) }
    try body(ProgramCache(directory: directory))
  }

  @Test func whatIsStoredComesBackForItsKeyAlone() throws {
    try withCache { cache in
      #expect(cache.binary(for: "driver 1") == nil)
      cache.store([1, 2, 3], for: "driver 1")
      #expect(cache.binary(for: "driver 1") == [1, 2, 3])
      #expect(cache.binary(for: "driver 2") == nil)
      cache.store([4], for: "driver 1")
      #expect(cache.binary(for: "driver 1") == [4])
    }
  }

  @Test func aDamagedEntryIsAsGoodAsNone() throws {
    try withCache { cache in
      cache.store(Array(0..<200), for: "key")
      let file = try #require(
        FileManager.default.contentsOfDirectory(
          at: cache.directory, includingPropertiesForKeys: nil
        ).first)
      let whole = try Data(contentsOf: file)
      for cut in [0, 5, 40, whole.count - 1] {
        try whole.prefix(cut).write(to: file)
        #expect(cache.binary(for: "key") == nil, "cut to \(cut) bytes")
      }
      for place in stride(from: 0, to: whole.count, by: 7) {
        var flipped = whole
        flipped[place] ^= 0x10
        try flipped.write(to: file)
        #expect(cache.binary(for: "key") == nil, "byte \(place) flipped")
      }
    }
  }

  /// Arguments of a kernel of a new context.
  private func arguments(of kernel: String, cache: ProgramCache) throws -> cl_uint {
    let context = try OpenCLContext(try #require(TestDevice.all.first), cache: cache)
    let handle = try context.makeKernel(file: "pooling", name: kernel, defines: [:])
    defer { clReleaseKernel(handle) }
    var count: cl_uint = 0
    clGetKernelInfo(
      handle, cl_kernel_info(CL_KERNEL_NUM_ARGS), MemoryLayout<cl_uint>.size, &count, nil)
    return count
  }

  /// Name and inode of what the cache holds: a file that is written again has another inode.
  private func entries(of cache: ProgramCache) throws -> [String: Int] {
    var result: [String: Int] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: cache.directory.path) {
      let path = cache.directory.appendingPathComponent(name).path
      result[name] =
        try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int
    }
    return result
  }

  @Test(.needsOpenCL) func aSecondStartTakesWhatTheFirstOneBuilt() throws {
    try withCache { cache in
      #expect(try arguments(of: "max_pool_forward", cache: cache) == 11)
      let first = try entries(of: cache)
      #expect(first.count == 1)
      #expect(try arguments(of: "max_pool_forward", cache: cache) == 11)
      #expect(try entries(of: cache) == first)
    }
  }

  @Test(.needsOpenCL) func aBinaryThatTheDriverRefusesIsBuiltAnew() throws {
    try withCache { cache in
      let context = try OpenCLContext(try #require(TestDevice.all.first), cache: nil)
      let source = try #require(KernelSource.text(of: "pooling"))
      let options = context.buildOptions([:])
      let key = context.cacheKey(source: source, options: options)
      cache.store(Array("no program at all".utf8), for: key)
      #expect(try arguments(of: "max_pool_forward", cache: cache) == 11)
      #expect(cache.binary(for: key) != Array("no program at all".utf8))
    }
  }

  /// Some drivers compile a kernel only where it is made: what they had before is not worth keeping.
  @Test(.needsOpenCL, .needsCallLayer) func aProgramIsKeptOnceItsKernelsAreMade() throws {
    let layer = try #require(CallLayer.present)
    try withCache { cache in
      let context = try OpenCLContext(try #require(TestDevice.all.first), cache: cache)
      func make(_ kernel: String) throws {
        clReleaseKernel(try context.makeKernel(file: "pooling", name: kernel, defines: [:]))
      }
      layer.reset()
      layer.fail("clCreateKernel", at: 1, status: CL_OUT_OF_RESOURCES)
      #expect(throws: DeviceError.self) { try make("max_pool_forward") }
      context.storePrograms()
      #expect(!FileManager.default.fileExists(atPath: cache.directory.path))
      layer.reset()
      try make("max_pool_forward")
      #expect(!FileManager.default.fileExists(atPath: cache.directory.path))
      context.storePrograms()
      let first = try entries(of: cache)
      #expect(first.count == 1)
      // Nothing new, then another kernel.
      try make("max_pool_forward")
      context.storePrograms()
      #expect(try entries(of: cache) == first)
      try make("max_pool_backward")
      context.storePrograms()
      let second = try entries(of: cache)
      #expect(second.keys == first.keys)
      #expect(second != first)
    }
  }

  /// Every program that a load compiled, and no more of them.
  @Test(.needsOpenCL) func aLoadKeepsWhatItBuilt() throws {
    try withCache { cache in
      let description = try #require(TestDevice.all.first)
      let device = try OpenCLDevice(
        description, options: OpenCLDevice.Options(usesCLBlast: false, specializes: false),
        cache: cache)
      let loaded = try TestPlan(
        try .semgNet(time: 45, channels: 3, classes: 4, width: 5), capacity: 2
      ).load(
        device, programs: [.forwardBackward, .update], fuses: true, keepsActivations: false)
      let built = device.builds.programs
      #expect(!built.isEmpty && built.allSatisfy { !$0.isFromCache })
      #expect(try entries(of: cache).count == built.count)
      withExtendedLifetime(loaded) {}
      let again = try OpenCLDevice(description, options: device.options, cache: cache)
      _ = try TestPlan(
        try .semgNet(time: 45, channels: 3, classes: 4, width: 5), capacity: 2
      ).load(
        again, programs: [.forwardBackward, .update], fuses: true, keepsActivations: false)
      #expect(again.builds.programs.count == built.count)
      #expect(again.builds.programs.allSatisfy { $0.isFromCache })
    }
  }
}
