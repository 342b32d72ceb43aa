import Foundation

/// The text of one recording as the public set has it, in memory that is used again.
struct RecordingText {
  private var bytes: [UInt8] = []

  /// Sets the text to a header and a row a frame, six decimals, CRLF.
  mutating func set(_ frames: [ElectrodeFrame]) {
    bytes.removeAll(keepingCapacity: true)
    bytes.append(contentsOf: "ch1,ch2,ch3,ch4,ch5,ch6,ch7,ch8\r\n".utf8)
    for frame in frames {
      for electrode in 0..<Forearm.electrodes {
        append(frame[electrode])
        bytes.append(electrode == Forearm.electrodes - 1 ? 0x0D : UInt8(ascii: ","))
      }
      bytes.append(UInt8(ascii: "\n"))
    }
  }

  /// Appends `value` (below 2^40 in magnitude) rounded to six decimals; zero has no sign.
  private mutating func append(_ value: Double) {
    let millionths = Int64((value * 1_000_000).rounded())
    if millionths < 0 { bytes.append(UInt8(ascii: "-")) }
    let (whole, fraction) = millionths.magnitude.quotientAndRemainder(dividingBy: 1_000_000)
    if whole < 10 {
      bytes.append(UInt8(ascii: "0") + UInt8(whole))
    } else {
      bytes.append(contentsOf: String(whole).utf8)
    }
    bytes.append(UInt8(ascii: "."))
    var rest = fraction
    var divisor: UInt64 = 100_000
    while divisor > 0 {
      bytes.append(UInt8(ascii: "0") + UInt8(rest / divisor))
      rest %= divisor
      divisor /= 10
    }
  }

  /// Writes the text to a new file.
  func write(to file: String) throws(SynthesisError) {
    let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw .writeFailed(path: file, reason: reasonOfLastFailure())
    }
    let isWritten = write(to: descriptor)
    let reason = reasonOfLastFailure()
    // Some file systems report a full disk only here.
    guard close(descriptor) == 0 else {
      throw .writeFailed(path: file, reason: reasonOfLastFailure())
    }
    guard isWritten else { throw .writeFailed(path: file, reason: reason) }
  }

  /// Writes all of the text; false where the system refuses, `errno` says why.
  func write(to descriptor: Int32) -> Bool {
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes {
        Foundation.write(descriptor, $0.baseAddress.unsafelyUnwrapped + written, $0.count - written)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return false }
      written += count
    }
    return true
  }
}
