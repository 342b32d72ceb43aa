import COpenCL
import Compute
import Synchronization

/// One opened device: its context and the programs that were built for it, shared by all plans.
///
/// `@unchecked Sendable`: OpenCL's calls on contexts and programs may come from any thread; the
/// table of programs is behind a lock.
final class OpenCLContext: @unchecked Sendable {
  let description: OpenCLDeviceDescription
  let handle: cl_context
  let groupLimits: GroupLimits
  /// Nil where the platform keeps what it compiled by itself.
  private let cache: ProgramCache?
  private let programs = Mutex<[String: Program]>([:])

  var name: String { description.name }

  /// What kernels' first runs took, in which some platforms compile.
  private let firstRuns = Mutex(0.0)

  private struct Program: @unchecked Sendable {
    let handle: cl_program
    /// In the cache.
    let key: String
    var build: ProgramBuild
    /// Names of the kernels that were made of it.
    var kernels: Set<String> = []
    /// Whether it was compiled here, with a kernel made since it was last stored.
    var isUnstored = false
  }

  init(
    _ description: OpenCLDeviceDescription, cache: ProgramCache?
  ) throws(DeviceError) {
    self.description = description
    self.cache = cache
    groupLimits = GroupLimits(device: description.maximumWorkGroup)
    if !description.isCPU && description.localMemory >= 48 << 10 { groupLimits.allowLargeGroups() }
    let properties: [cl_context_properties] = [
      semg_CL_CONTEXT_PLATFORM, Int(bitPattern: description.platform), 0,
    ]
    var device: cl_device_id? = description.device
    var status: cl_int = 0
    let created = clCreateContext(properties, 1, &device, nil, nil, &status)
    try check(status, "clCreateContext", on: description.name)
    guard let created else {
      throw .callFailed(device: description.name, call: "clCreateContext", code: "no context")
    }
    handle = created
  }

  deinit {
    storePrograms()
    for program in programs.withLock({ $0 }).values { clReleaseProgram(program.handle) }
    clReleaseContext(handle)
  }

  /// In order, without profiling unless it is asked for.
  func makeQueue(profiles: Bool = false) throws(DeviceError) -> cl_command_queue {
    var status: cl_int = 0
    let queue = clCreateCommandQueue(
      handle, description.device, profiles ? semg_CL_QUEUE_PROFILING_ENABLE : 0, &status)
    try check(status, "clCreateCommandQueue", on: name)
    guard let queue else {
      throw .callFailed(device: name, call: "clCreateCommandQueue", code: "no queue")
    }
    return queue
  }

  // MARK: Programs

  /// A kernel object of its own for each caller, so that arguments stay bound.
  ///
  /// - Parameters:
  ///   - file: of `Kernels/`, without its ending.
  ///   - defines: sizes that the build is for; none for the generic build.
  ///   - bundle: files that are built with it as one program.
  func makeKernel(
    file: String, name kernel: String, defines: [String: Int], bundle: [String]? = nil
  ) throws(DeviceError) -> cl_kernel {
    let (key, program) = try program(files: bundle ?? [file], defines: defines)
    var status: cl_int = 0
    let clock = ContinuousClock()
    let start = clock.now
    let created = clCreateKernel(program, kernel, &status)
    try check(status, "clCreateKernel(\(kernel))", on: name)
    guard let created else {
      throw .callFailed(device: name, call: "clCreateKernel(\(kernel))", code: "no kernel")
    }
    let seconds = start.duration(to: clock.now) / .seconds(1)
    programs.withLock { programs in
      guard var program = programs[key] else { return }
      program.build.seconds += seconds
      if program.kernels.insert(kernel).inserted, !program.build.isFromCache {
        program.isUnstored = true
      }
      programs[key] = program
    }
    return created
  }

  private func program(
    files: [String], defines: [String: Int]
  ) throws(DeviceError) -> (key: String, handle: cl_program) {
    let line = buildOptions(defines)
    let key = "\(files.joined(separator: "+")) \(line)"
    let result = programs.withLock { programs -> Result<Program, DeviceError> in
      if let known = programs[key] { return .success(known) }
      do throws(DeviceError) {
        let program = try build(files, options: line, defines: Set(defines.keys))
        programs[key] = program
        return .success(program)
      } catch {
        return .failure(error)
      }
    }
    return (key, try result.get().handle)
  }

  /// What the compiler is given. Divisions and roots may be off by 2.5 and 3 units in the last place
  /// unless they are asked not to be.
  func buildOptions(_ defines: [String: Int]) -> String {
    var options = ["-cl-std=CL1.2"]
    if description.roundsDivisions { options.append("-cl-fp32-correctly-rounded-divide-sqrt") }
    options += defines.sorted { $0.key < $1.key }.map { "-D\($0.key)=\($0.value)" }
    if let extra = KernelSource.extraOptions { options.append(extra) }
    return options.joined(separator: " ")
  }

  private func build(
    _ files: [String], options: String, defines: Set<String>
  ) throws(DeviceError) -> Program {
    guard let source = KernelSource.text(of: files, options: defines) else {
      let names = files.map { "\($0).cl" }.joined(separator: ", ")
      throw .misused(
        device: name, what: "kernel file \(names): it or one that it includes is missing")
    }
    let key = cacheKey(source: source, options: options)
    let clock = ContinuousClock()
    let start = clock.now
    let kept = cache?.binary(for: key).flatMap { load($0, options: options) }
    let handle = if let kept { kept } else { try compile(source, of: files, options: options) }
    return Program(
      handle: handle, key: key,
      build: ProgramBuild(
        files: files, options: options, seconds: start.duration(to: clock.now) / .seconds(1),
        isFromCache: kept != nil))
  }

  /// Keeps what was compiled since the last time. Some drivers compile a kernel where it is made, or
  /// where it first runs, and only then have a binary that is worth keeping: this is for the end of
  /// a load.
  func storePrograms() {
    guard let cache else { return }
    programs.withLock { programs in
      for (key, program) in programs where program.isUnstored {
        programs[key]?.isUnstored = false
        if let binary = binary(of: program.handle) { cache.store(binary, for: program.key) }
      }
    }
  }

  /// What was built here so far.
  var builds: ProgramBuilds {
    ProgramBuilds(
      programs: programs.withLock { $0.values.map(\.build) }.sorted { $0.seconds > $1.seconds },
      firstRunSeconds: firstRuns.withLock { $0 })
  }

  func count(firstRunSeconds seconds: Double) { firstRuns.withLock { $0 += seconds } }

  /// All that a binary depends on.
  func cacheKey(source: String, options: String) -> String {
    [description.platformName, description.name, description.driver, options, source]
      .joined(separator: "\n")
  }

  private func compile(
    _ source: String, of files: [String], options: String
  ) throws(DeviceError) -> cl_program {
    var status: cl_int = 0
    let created = source.withCString { text -> cl_program? in
      var pointer: UnsafePointer<CChar>? = text
      return clCreateProgramWithSource(handle, 1, &pointer, nil, &status)
    }
    try check(status, "clCreateProgramWithSource", on: name)
    guard let created else {
      throw .callFailed(device: name, call: "clCreateProgramWithSource", code: "no program")
    }
    var device: cl_device_id? = description.device
    status = clBuildProgram(created, 1, &device, options, nil, nil)
    guard status == CL_SUCCESS else {
      let log = buildLog(created)
      clReleaseProgram(created)
      throw .callFailed(
        device: name,
        call: "clBuildProgram(\(files.map { "\($0).cl" }.joined(separator: " ")), \(options))",
        code: "\(StatusName.of(status)):\n\(log)")
    }
    return created
  }

  /// A program of a stored binary, or nil where the driver no longer takes it.
  private func load(_ binary: [UInt8], options: String) -> cl_program? {
    var device: cl_device_id? = description.device
    var status: cl_int = 0
    let created = binary.withUnsafeBufferPointer { bytes -> cl_program? in
      var pointer = bytes.baseAddress
      var count = bytes.count
      return clCreateProgramWithBinary(handle, 1, &device, &count, &pointer, nil, &status)
    }
    guard status == CL_SUCCESS, let created else { return nil }
    guard clBuildProgram(created, 1, &device, options, nil, nil) == CL_SUCCESS else {
      clReleaseProgram(created)
      return nil
    }
    return created
  }

  /// What the driver made of a program, or nil where it does not tell.
  private func binary(of program: cl_program) -> [UInt8]? {
    var size = 0
    guard
      clGetProgramInfo(
        program, cl_program_info(CL_PROGRAM_BINARY_SIZES), MemoryLayout<Int>.size, &size, nil)
        == CL_SUCCESS, size > 0
    else { return nil }
    var bytes = [UInt8](repeating: 0, count: size)
    let status = bytes.withUnsafeMutableBufferPointer { buffer -> cl_int in
      var pointer = buffer.baseAddress
      return clGetProgramInfo(
        program, cl_program_info(CL_PROGRAM_BINARIES), MemoryLayout<Int>.size, &pointer, nil)
    }
    return status == CL_SUCCESS ? bytes : nil
  }

  private func buildLog(_ program: cl_program) -> String {
    let question = cl_program_build_info(CL_PROGRAM_BUILD_LOG)
    var size = 0
    guard
      clGetProgramBuildInfo(program, description.device, question, 0, nil, &size) == CL_SUCCESS,
      size > 0
    else { return "the driver gives no log" }
    var bytes = [UInt8](repeating: 0, count: size)
    guard
      clGetProgramBuildInfo(program, description.device, question, size, &bytes, nil)
        == CL_SUCCESS
    else { return "the driver gives no log" }
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
}
