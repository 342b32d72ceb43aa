import Foundation

// Functions of one element; `count` is the number of live elements.

func reluForward(_ count: Int, input: [Double], output: inout [Double]) {
  for i in 0..<count { output[i] = input[i] < 0 ? 0 : input[i] }
}

func reluBackward(
  _ count: Int, output: [Double], outputGradient: [Double], inputGradient: inout [Double]
) {
  for i in 0..<count { inputGradient[i] = output[i] > 0 ? outputGradient[i] : 0 }
}

func sigmoidForward(_ count: Int, input: [Double], output: inout [Double]) {
  for i in 0..<count { output[i] = 1 / (1 + exp(-input[i])) }
}

func sigmoidBackward(
  _ count: Int, output: [Double], outputGradient: [Double], inputGradient: inout [Double]
) {
  for i in 0..<count { inputGradient[i] = outputGradient[i] * output[i] * (1 - output[i]) }
}
